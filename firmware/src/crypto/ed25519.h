/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 (RFC 8032, pure) over the curve of curve.h, with SHA-512. The message is passed in parts, so that a COSE
 * structure around a large body does not need a copy of the body.
 */
#ifndef TF_CRYPTO_ED25519_H
#define TF_CRYPTO_ED25519_H

#include "codec/bytes.h"

/* TF_OK or TF_ERR_SIGNATURE. */
TF_MUST_CHECK int tf_ed25519_verify(const uint8_t signature[64], const uint8_t public_key[32], const struct tf_view *parts,
                                    size_t count);

/* seed is what RFC 8032 calls the private key. Runs in constant time with respect to it. */
void tf_ed25519_sign(uint8_t signature[64], const uint8_t seed[32], const uint8_t public_key[32],
                     const struct tf_view *parts, size_t count);

/*
 * X25519 (RFC 7748) between the key of this seed and a peer's public key. Runs in constant time with respect to the seed.
 * TF_ERR_SIGNATURE: the peer's key is of small order, or not on the curve.
 */
TF_MUST_CHECK int tf_ed25519_agree(uint8_t shared[32], const uint8_t seed[32], const uint8_t peer[32]);

#endif
