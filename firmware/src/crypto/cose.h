/* SPDX-License-Identifier: Apache-2.0 */
/* COSE_Sign1 (RFC 9052) in the one form that tinyfleet uses: Ed25519, a key id, no unprotected header. */
#ifndef TF_CRYPTO_COSE_H
#define TF_CRYPTO_COSE_H

#include "codec/cbor.h"
#include "tinyfleet/types.h"

/* Length of the protected header, a map of algorithm -19 and key id. */
#define TF_PROTECTED_BYTES 13

/* The parts of a COSE_Sign1. Nothing in it can be trusted before tf_cose_verify(). */
struct tf_sign1 {
    const uint8_t *protected_header; /* TF_PROTECTED_BYTES */
    const uint8_t *kid;
    struct tf_view payload; /* empty when detached */
    const uint8_t *signature;
};

/* Read a COSE_Sign1; errors stay in the reader. */
void tf_cose_read(struct tf_reader *reader, bool detached, struct tf_sign1 *sign1);

/* Read an algorithm identifier: TF_ERR_ALGORITHM unless it is the expected one. */
void tf_cose_algorithm(struct tf_reader *reader, int32_t expected);

/* Verify the signature over this payload with this key: TF_OK or TF_ERR_SIGNATURE. */
TF_MUST_CHECK int tf_cose_verify(const struct tf_sign1 *sign1, const uint8_t key[TF_KEY_BYTES], struct tf_view payload);

/* The key id: the first 8 bytes of SHA-256 over a public key. */
void tf_key_id(uint8_t kid[TF_KID_BYTES], const uint8_t key[TF_KEY_BYTES]);

/* Whether kid is the id of this key. */
TF_MUST_CHECK bool tf_is_key_id(const uint8_t *kid, const uint8_t key[TF_KEY_BYTES]);

#endif
