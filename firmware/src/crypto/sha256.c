/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/sha256.h"

#include <string.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

/* The message schedule is a ring of 16 words: a quarter of the stack of the usual 64. */
static uint32_t schedule(uint32_t w[16], unsigned i)
{
    const uint32_t a = w[(i + 1) & 15];
    const uint32_t b = w[(i + 14) & 15];
    w[i & 15] += (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + w[(i + 9) & 15] + (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
    return w[i & 15];
}

/* The state is a ring too: the words stay where they are, and word n of round i is at (n - i) modulo 8. */
static void compress(struct tf_sha256 *sha, const uint8_t *block)
{
    uint32_t w[16];
    uint32_t s[8];
    memcpy(s, sha->h, sizeof s);
    for (unsigned i = 0; i < 64; i++) {
        const uint32_t word = i < 16 ? (w[i] = load_be(block + 4 * i)) : schedule(w, i);
        uint32_t *const d = &s[(3 - i) & 7];
        uint32_t *const h = &s[(7 - i) & 7];
        const uint32_t a = s[-i & 7];
        const uint32_t b = s[(1 - i) & 7];
        const uint32_t c = s[(2 - i) & 7];
        const uint32_t e = s[(4 - i) & 7];
        const uint32_t f = s[(5 - i) & 7];
        const uint32_t g = s[(6 - i) & 7];
        const uint32_t t1 = *h + word + K[i] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g));
        *d += t1;
        *h = t1 + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (c & (a ^ b)));
    }
    for (unsigned i = 0; i < 8; i++) {
        sha->h[i] += s[i];
    }
}

void tf_sha256_init(struct tf_sha256 *sha)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(sha->h, initial, sizeof initial);
    sha->length = 0;
}

void tf_sha256_update(struct tf_sha256 *sha, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    while (length > 0) {
        size_t used = (size_t)(sha->length % 64);
        size_t n = 64 - used < length ? 64 - used : length;
        memcpy(sha->block + used, bytes, n);
        sha->length += n;
        bytes += n;
        length -= n;
        if (used + n == 64) {
            compress(sha, sha->block);
        }
    }
}

void tf_sha256_final(struct tf_sha256 *sha, uint8_t digest[32])
{
    static const uint8_t one = 0x80;
    static const uint8_t zero = 0;
    uint64_t bits = sha->length * 8;
    uint8_t tail[8];
    tf_sha256_update(sha, &one, 1);
    while (sha->length % 64 != 56) {
        tf_sha256_update(sha, &zero, 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        tail[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    tf_sha256_update(sha, tail, 8);
    for (unsigned i = 0; i < 32; i++) {
        digest[i] = (uint8_t)(sha->h[i / 4] >> (24 - 8 * (i % 4)));
    }
}
