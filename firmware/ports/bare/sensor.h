/* SPDX-License-Identifier: Apache-2.0 */
/* The sensor that the emulated boards do not have: a triangle wave with noise stands in for vibration. */
#ifndef TINYFLEET_PORTS_BARE_SENSOR_H
#define TINYFLEET_PORTS_BARE_SENSOR_H

#include "tinyfleet/agent.h"

/* Call from the main loop; five times a second it fills an input window and runs the model. */
void sensor_look(struct tf_agent *agent, uint32_t now_ms);

#endif
