/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in signed parts of an envelope: the manifest (V15) and the delegation's claims (V8). */
#ifndef TF_MANIFEST_H
#define TF_MANIFEST_H

#include "codec/cbor.h"
#include "envelope/envelope.h"

/* A configure manifest names neither vendor nor class: NULL. */
struct tf_manifest {
    struct tf_order order;
    const uint8_t *vendor;
    const uint8_t *class_id;
    const uint8_t *device;
};

/* Views in manifest point into bytes. */
TF_MUST_CHECK int tf_manifest_read(struct tf_view bytes, struct tf_manifest *manifest);

/* The wrapped digest that the reader stands before: its 32 bytes. */
const uint8_t *tf_manifest_digest(struct tf_reader *reader);

/* Key, epoch and exp go to held. */
TF_MUST_CHECK int tf_claims_read(struct tf_view bytes, struct tf_held *held, const uint8_t **vendor);

#endif
