/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the root signs: delegations (docs/specs/envelope.md, V5 ... V9) and rotations to another root
 * (docs/specs/rotation.md, whose steps are N1 ... N6).
 */
#ifndef TF_ENVELOPE_DELEGATION_H
#define TF_ENVELOPE_DELEGATION_H

#include "codec/bytes.h"
#include "tinyfleet/state.h"

/* Who signs from an accepted rotation on. */
struct tf_rotation {
    const uint8_t *root; /* points into the rotation */
    uint16_t number;
    struct tf_delegation delegation; /* epoch 0: none */
};

/* V5 ... V9, without the chain around the cwt: TF_OK, or the error of the first step that fails. */
TF_MUST_CHECK int tf_delegation_verify(struct tf_view cwt, const uint8_t root[TF_KEY_BYTES], const uint8_t vendor[TF_UUID_BYTES],
                                       struct tf_delegation *delegation);

/* N1 ... N6. cwt: the delegation by the new root, or empty. last: the number of the last accepted rotation. */
TF_MUST_CHECK int tf_rotation_verify(struct tf_view bytes, struct tf_view cwt, const struct tf_identity *identity, uint16_t last,
                                     struct tf_rotation *rotation);

#endif
