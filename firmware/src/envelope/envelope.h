/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes: what a device accepts as an order (docs/specs/envelope.md; the steps V1 ... V22 are its). */
#ifndef TF_ENVELOPE_H
#define TF_ENVELOPE_H

#include "codec/bytes.h"
#include "tinyfleet/state.h"

/* What the manifest says. */
struct tf_order {
    bool configure; /* else install */
    uint32_t sequence;
    const uint8_t *digest;
    uint32_t size; /* install */
    struct tf_parameter values[TF_PARAMETERS_MAX]; /* configure */
    uint8_t value_count;
};

/* What the device knows when an envelope arrives. */
struct tf_trust {
    const struct tf_identity *identity;
    uint32_t sequence;           /* the highest that was accepted */
    const struct tf_held *held;
    const uint8_t *running;      /* digest of the pack that runs; NULL: none */
    uint32_t slot_bytes;
    uint32_t now;                /* seconds since 1970; 0: unknown */
};

/* An order to carry out, and the delegation to hold from now on. */
struct tf_accepted {
    struct tf_order order;
    struct tf_held held;
    /* The envelope from key 2 on: what is kept with the pack (tf_envelope_keep). */
    struct tf_view signed_part;
};

/* V1 ... V22: TF_OK or the error of the first step that fails. Views in accepted point into the envelope. */
TF_MUST_CHECK int tf_envelope_verify(struct tf_view envelope, const struct tf_trust *trust, struct tf_accepted *accepted);

/* The envelope without its delegation, into the slot. TF_ERR_TOO_LONG when it does not fit, which no valid one does. */
TF_MUST_CHECK int tf_envelope_keep(const struct tf_accepted *accepted, struct tf_slot *slot);

/* At boot: the kept envelope is still what its signer signed, is for this device, and names the slot's digest and size. */
TF_MUST_CHECK int tf_envelope_verify_kept(const struct tf_slot *slot, const struct tf_identity *identity, uint32_t sequence);

/* First 8 bytes of SHA-256 over a public key. */
void tf_key_id(uint8_t kid[TF_KID_BYTES], const uint8_t key[TF_KEY_BYTES]);

#endif
