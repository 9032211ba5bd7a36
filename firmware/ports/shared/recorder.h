/* SPDX-License-Identifier: Apache-2.0 */
/* The part that keeps samples, and learns, for tf_agent_keep_samples(), or NULL on a device that keeps none. */
#ifndef TINYFLEET_PORTS_SHARED_RECORDER_H
#define TINYFLEET_PORTS_SHARED_RECORDER_H

#include "tinyfleet/samples.h"

extern const struct tf_recorder *const port_recorder;

/* For the sampler of one device: memory of the part that learns, or NULL on a device that does not. */
extern struct tf_learner *const port_learner;

#endif
