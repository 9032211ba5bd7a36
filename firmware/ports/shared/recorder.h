/* SPDX-License-Identifier: Apache-2.0 */
/* The part that keeps samples, for tf_agent_keep_samples(), or NULL on a device that keeps none. */
#ifndef TINYFLEET_PORTS_SHARED_RECORDER_H
#define TINYFLEET_PORTS_SHARED_RECORDER_H

#include "tinyfleet/samples.h"

extern const struct tf_recorder *const port_recorder;

#endif
