/* SPDX-License-Identifier: Apache-2.0 */
/* COSE_Sign1 (RFC 9052) in the one form that tinyfleet has: Ed25519, key id, no unprotected header. */
#ifndef TF_COSE_H
#define TF_COSE_H

#include "codec/cbor.h"
#include "tinyfleet/types.h"

/* Protected header: a map of algorithm -19 and key id. */
#define TF_PROTECTED_BYTES 13

/* A COSE_Sign1 taken apart; nothing in it is trusted yet. */
struct tf_sealed {
    const uint8_t *protected_header; /* TF_PROTECTED_BYTES */
    const uint8_t *kid;
    struct tf_view payload; /* empty when detached */
    const uint8_t *signature;
};

/* Take a COSE_Sign1 apart up to its end. */
void tf_cose_read(struct tf_reader *reader, bool detached, struct tf_sealed *sealed);

/* An algorithm identifier: TF_ERR_ALGORITHM for another one than expected. */
void tf_cose_algorithm(struct tf_reader *reader, int32_t expected);

/* The signature is this key's, over this payload: TF_OK or TF_ERR_SIGNATURE. */
TF_MUST_CHECK int tf_cose_verify(const struct tf_sealed *sealed, const uint8_t key[TF_KEY_BYTES], struct tf_view payload);

#endif
