/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 (RFC 8032, pure): the curve is that of curve.h, the hash SHA-512. A message is given in parts, so that a
 * COSE structure around a large body needs no copy of the body.
 */
#ifndef TF_ED25519_H
#define TF_ED25519_H

#include "codec/bytes.h"

/* TF_OK or TF_ERR_SIGNATURE. */
TF_MUST_CHECK int tf_ed25519_verify(const uint8_t signature[64], const uint8_t public_key[32], const struct tf_view *parts,
                                    size_t count);

/* seed is RFC 8032's private key. Constant time in the seed. */
void tf_ed25519_sign(uint8_t signature[64], const uint8_t seed[32], const uint8_t public_key[32],
                     const struct tf_view *parts, size_t count);

#endif
