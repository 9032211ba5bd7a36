/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 (FIPS 180-4), for Ed25519. Call init, then update any number of times, then final once. */
#ifndef TF_CRYPTO_SHA512_H
#define TF_CRYPTO_SHA512_H

#include <stddef.h>
#include <stdint.h>

struct tf_sha512 {
    uint64_t h[8];
    uint64_t length; /* in bytes: up to 2^61 is enough here */
    uint8_t block[128];
};

void tf_sha512_init(struct tf_sha512 *sha);
void tf_sha512_update(struct tf_sha512 *sha, const void *data, size_t length);
void tf_sha512_final(struct tf_sha512 *sha, uint8_t digest[64]);

#endif
