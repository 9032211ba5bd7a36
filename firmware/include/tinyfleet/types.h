/* SPDX-License-Identifier: Apache-2.0 */
/* The nouns that the core's modules share: places, phases, flags, identity. */
#ifndef TINYFLEET_TYPES_H
#define TINYFLEET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/config.h"
#include "tinyfleet/engine.h"
#include "tinyfleet/hal.h"

#define TF_DIGEST_BYTES 32
#define TF_KEY_BYTES 32
#define TF_UUID_BYTES 16
#define TF_KID_BYTES 8

/* Where a pack lies: a slot, or TF_PLACE_PREBAKED + number of the pre-baked pack. */
enum tf_place {
    TF_PLACE_NONE = 0,
    TF_PLACE_A = 2,
    TF_PLACE_B = 3,
    TF_PLACE_PREBAKED = 16,
};

/* protocol.md, "Phases". */
enum tf_phase {
    TF_PHASE_IDLE = 0,
    TF_PHASE_RECEIVING = 1,
    TF_PHASE_STAGED = 2,
    TF_PHASE_TRIAL = 3,
    TF_PHASE_CONFIRMED = 4,
};

/* protocol.md, the report's `why`. */
enum tf_why {
    TF_WHY_NOTHING = 0,
    TF_WHY_CONFIRMED = 1,
    TF_WHY_TRIAL = 2,
    TF_WHY_PREVIOUS = 3,
    TF_WHY_NO_SLOT = 4,
    TF_WHY_ASKED = 5,
};

/* protocol.md, the report's `flags`; bits. Bits 1 ... 3 stand until a model is confirmed, the others until the next start. */
enum tf_flag {
    TF_FLAG_JOURNAL = 1 << 0,
    TF_FLAG_SLOT = 1 << 1,
    TF_FLAG_GOLDEN = 1 << 2,
    TF_FLAG_RESET = 1 << 3,
    TF_FLAG_INFERENCE = 1 << 4,
    TF_FLAG_MALFORMED = 1 << 5,
    TF_FLAG_REFUSED = 1 << 6,
    TF_FLAG_INPUT = 1 << 7,
};

/* A pack that was put in when the device was made. */
struct tf_prebaked {
    uint32_t offset; /* in flash */
    uint32_t size;
    uint8_t digest[TF_DIGEST_BYTES];
};

/* Who this device is: the provisioned region, read once (docs/specs/flash.md). The key that signs stays in flash. */
struct tf_identity {
    uint8_t vendor[TF_UUID_BYTES];
    uint8_t class_id[TF_UUID_BYTES];
    uint8_t device[TF_UUID_BYTES];
    uint8_t root[TF_KEY_BYTES];
    uint8_t public_key[TF_KEY_BYTES];
    uint8_t address; /* on a serial line; 0: none */
    uint8_t prebaked_count;
    char type[TF_TYPE_MAX + 1];
    char fleet[TF_NAME_MAX + 1];
    char name[TF_NAME_MAX + 1];
    struct tf_prebaked prebaked[TF_PREBAKED_MAX];
};

#endif
