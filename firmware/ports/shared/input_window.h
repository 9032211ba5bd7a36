/* SPDX-License-Identifier: Apache-2.0 */
/* What the model that runs wants to see: read from the input descriptors of its pack (docs/specs/pack.md, section 2).
 * Several inputs are one window, one behind the other; all inputs of a pack have elements of one type. */
#ifndef TINYFLEET_PORTS_SHARED_INPUT_WINDOW_H
#define TINYFLEET_PORTS_SHARED_INPUT_WINDOW_H

#include "tinyfleet/agent.h"

struct input_window {
    uint32_t elements; /* 0: nothing runs */
    uint8_t element_bytes;
    uint16_t channels; /* elements of one point in time: the last dimension of rank 2 and more, else 1 */
};

struct input_window input_window_of(const struct tf_agent *agent);

#endif
