/* SPDX-License-Identifier: Apache-2.0 */
/* The input window of the running model, from the input descriptors of its pack (docs/specs/pack.md, section 2). The
 * window has all inputs, concatenated; all inputs of a pack have elements of the same type. */
#ifndef TINYFLEET_PORTS_SHARED_INPUT_WINDOW_H
#define TINYFLEET_PORTS_SHARED_INPUT_WINDOW_H

#include "tinyfleet/agent.h"

struct input_window {
    uint32_t elements; /* 0: nothing runs */
    uint8_t element_bytes;
    uint16_t channels; /* elements per point in time: the last of two or more dimensions, else 1 */
};

struct input_window input_window_of(const struct tf_agent *agent);

#endif
