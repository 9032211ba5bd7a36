/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4). Call init, then update any number of times, then final once. */
#ifndef TINYFLEET_SHA256_H
#define TINYFLEET_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct tf_sha256 {
    uint32_t h[8];
    uint64_t length;
    uint8_t block[64];
};

void tf_sha256_init(struct tf_sha256 *sha);
void tf_sha256_update(struct tf_sha256 *sha, const void *data, size_t length);
void tf_sha256_final(struct tf_sha256 *sha, uint8_t digest[32]);

#endif
