/* SPDX-License-Identifier: Apache-2.0 */
/* What a device keeps of a session with its gateway (docs/specs/stages.md, section 2). */
#ifndef TINYFLEET_SESSION_STATE_H
#define TINYFLEET_SESSION_STATE_H

#include <stdint.h>

struct tf_session {
    uint8_t key[32];
    uint32_t number; /* the highest since the start; 0: none is open */
};

#endif
