/* SPDX-License-Identifier: Apache-2.0 */
/* Verification of envelopes. The comments V1 ... V22 name the steps of docs/specs/envelope.md. */
#ifndef TF_ENVELOPE_ENVELOPE_H
#define TF_ENVELOPE_ENVELOPE_H

#include "codec/bytes.h"
#include "envelope/manifest.h"
#include "tinyfleet/state.h"

/* What the device knows when an envelope arrives. */
struct tf_trust {
    const struct tf_identity *identity;
    uint32_t sequence; /* the highest accepted so far */
    const struct tf_delegation *delegation;
    const uint8_t *running; /* digest of the pack that runs; NULL: none */
    uint32_t slot_bytes;
    uint32_t now; /* seconds since 1970; 0: unknown */
};

/* A verified envelope: what to do, and the delegation to keep from now on. Pointers into the envelope. */
struct tf_accepted {
    struct tf_manifest manifest;
    struct tf_delegation delegation;
    struct tf_view signed_part; /* the envelope from key 2 on: what tf_envelope_keep() stores with the pack */
};

/* V1 ... V22: TF_OK, or the error of the first step that fails. Changes nothing but *accepted. */
TF_MUST_CHECK int tf_envelope_verify(struct tf_view envelope, const struct tf_trust *trust, struct tf_accepted *accepted);

/*
 * Put the envelope, without its delegation, into the slot's record. The caller commits it. TF_ERR_TOO_LONG: it does not
 * fit, which can't happen to a valid envelope.
 */
TF_MUST_CHECK int tf_envelope_keep(const struct tf_accepted *accepted, struct tf_slot *slot);

/* At boot: verify the stored envelope again, and that it is for this device and names the slot's digest and size. */
TF_MUST_CHECK int tf_envelope_verify_kept(const struct tf_slot *slot, const struct tf_identity *identity, uint32_t sequence);

#endif
