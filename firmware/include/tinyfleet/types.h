/* SPDX-License-Identifier: Apache-2.0 */
/* Types that all modules of the core share: slots, phases, flags, identity. */
#ifndef TINYFLEET_TYPES_H
#define TINYFLEET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/config.h"
#include "tinyfleet/engine.h"
#include "tinyfleet/hal.h"

#define TF_DIGEST_BYTES 32
#define TF_DIGEST16_BYTES 16 /* the first bytes of a digest */
#define TF_KEY_BYTES 32
#define TF_UUID_BYTES 16
#define TF_KID_BYTES 8

/* Where a pack is stored: slot A or B, or TF_SLOT_PREBAKED + the number of a pre-baked pack, which is read-only. */
enum tf_slot_id {
    TF_SLOT_NONE = 0,
    TF_SLOT_A = 2,
    TF_SLOT_B = 3,
    TF_SLOT_PREBAKED = 16,
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

/* protocol.md, the report's `flags`. Bits 1 ... 3 last until a model is confirmed, the others until the next start. */
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

/* docs/specs/patch.md: how a payload is encoded. */
enum tf_encoding {
    TF_ENCODING_RAW = 0,
    TF_ENCODING_HEATSHRINK = 1,
    TF_ENCODING_PATCH = 2,
};

/* A pack that was installed in the factory. */
struct tf_prebaked {
    uint32_t offset; /* in flash */
    uint32_t size;
    uint8_t digest[TF_DIGEST_BYTES];
};

/* The provisioned region, read once at boot (docs/specs/flash.md). The private key stays in flash. */
struct tf_identity {
    uint8_t vendor[TF_UUID_BYTES];
    uint8_t class_id[TF_UUID_BYTES];
    uint8_t device[TF_UUID_BYTES];
    uint8_t root[TF_KEY_BYTES]; /* in force: the provisioned one, or that of the last rotation */
    uint8_t public_key[TF_KEY_BYTES];
    uint8_t address; /* on a serial line; 0: none */
    uint8_t prebaked_count;
    char type[TF_TYPE_MAX + 1];
    char fleet[TF_NAME_MAX + 1];
    char name[TF_NAME_MAX + 1];
    struct tf_prebaked prebaked[TF_PREBAKED_MAX];
};

#endif
