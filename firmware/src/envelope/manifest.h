/* SPDX-License-Identifier: Apache-2.0 */
/* Signed contents: the manifest (envelope.md, V15), the claims of a delegation (V8) and of a rotation (rotation.md, N4). */
#ifndef TF_ENVELOPE_MANIFEST_H
#define TF_ENVELOPE_MANIFEST_H

#include "codec/cbor.h"
#include "tinyfleet/state.h"

/* Pointers into the bytes that were read. */
struct tf_manifest {
    bool configure; /* else install */
    uint32_t sequence;
    const uint8_t *vendor;   /* install; NULL in a configure manifest */
    const uint8_t *class_id; /* install; NULL in a configure manifest */
    const uint8_t *device;
    const uint8_t *digest;
    uint32_t size;                                 /* install */
    struct tf_parameter values[TF_PARAMETERS_MAX]; /* configure */
    uint8_t value_count;
};

TF_MUST_CHECK int tf_manifest_read(struct tf_view bytes, struct tf_manifest *manifest);

/* Read a wrapped SUIT_Digest; returns its 32 bytes. */
const uint8_t *tf_manifest_digest(struct tf_reader *reader);

/* What the root vouches for: a gateway's key in a delegation, another root in a rotation. Pointers into the bytes. */
struct tf_claims {
    const uint8_t *key;
    const uint8_t *vendor; /* only of a delegation */
    uint32_t exp;          /* likewise; 0: none */
    uint32_t number;       /* the epoch, or the number of the rotation */
};

TF_MUST_CHECK int tf_claims_read(struct tf_view bytes, bool is_rotation, struct tf_claims *claims);

#endif
