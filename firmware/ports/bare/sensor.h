/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated vibration, since the emulated boards have no sensor: a triangle wave with noise. */
#ifndef TINYFLEET_PORTS_BARE_SENSOR_H
#define TINYFLEET_PORTS_BARE_SENSOR_H

#include "tinyfleet/agent.h"

/* Read a few samples, for the built-ins of the board. */
void sensor_read(void *owner, uint8_t *samples);

/* Call from the main loop: fills an input window and runs the model five times a second. */
void sensor_poll(struct tf_agent *agent, uint32_t now_ms);

#endif
