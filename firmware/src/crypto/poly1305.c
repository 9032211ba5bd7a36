/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are words of 32 bits, least significant first. The accumulator has 130 bits and a little more, the key r has 124,
 * and the prime is p = 2^130 - 5. A clamped word of r but the first is a multiple of 4, so 2^128 times it is 5/4 of it.
 */
#include "crypto/poly1305.h"

#include <string.h>

#define WORDS 4
#define BLOCK_BYTES 16u

struct accumulator {
    uint32_t h[WORDS];
    uint32_t above; /* units of 2^128; less than 8 */
    /* What word j of h is multiplied with to give word i of the product is at i - j + 3. */
    uint32_t factor[2 * WORDS - 1];
};

static void start(struct accumulator *sum, const uint8_t *r)
{
    memset(sum, 0, sizeof *sum);
    for (uint32_t i = 0; i < WORDS; i++) {
        const uint32_t word = tf_load32(r + 4 * i) & (i == 0 ? 0x0fffffffu : 0x0ffffffcu);
        sum->factor[WORDS - 1 + i] = word;
        if (i > 0) {
            sum->factor[i - 1] = (word >> 2) * 5;
        }
    }
}

/* Add what is above 2^130, times 5, since 2^130 is 5 modulo p. */
static void fold(struct accumulator *sum, uint64_t above)
{
    sum->above = (uint32_t)above & 3;
    uint64_t carry = (above >> 2) * 5;
    for (uint32_t i = 0; i < WORDS; i++) {
        carry += sum->h[i];
        sum->h[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sum->above += (uint32_t)carry;
}

static void absorb(struct accumulator *sum, const uint8_t *block, uint32_t end)
{
    const uint32_t *const factor = sum->factor + WORDS - 1;
    uint32_t s[WORDS];
    uint64_t carry = 0;
    for (uint32_t i = 0; i < WORDS; i++) {
        carry += (uint64_t)sum->h[i] + tf_load32(block + 4 * i);
        s[i] = (uint32_t)carry;
        carry >>= 32;
    }
    const uint32_t above = sum->above + end + (uint32_t)carry;
    carry = (uint64_t)above * ((factor[0] >> 2) * 5);
    for (int i = 0; i < WORDS; i++) { /* a sum has five products below 2^61 */
        if (i > 0) {
            carry += (uint64_t)above * factor[i - WORDS];
        }
        for (int j = 0; j < WORDS; j++) {
            carry += (uint64_t)s[j] * factor[i - j];
        }
        sum->h[i] = (uint32_t)carry;
        carry >>= 32;
    }
    fold(sum, carry + (uint64_t)above * (factor[0] & 3));
}

void tf_poly1305(uint8_t tag[TF_TAG_BYTES], const uint8_t key[32], struct tf_view message)
{
    struct accumulator sum;
    uint8_t last[BLOCK_BYTES + 1] = {0};
    start(&sum, key);
    for (; message.size >= BLOCK_BYTES; message.size -= BLOCK_BYTES, message.data += BLOCK_BYTES) {
        absorb(&sum, message.data, 1);
    }
    if (message.size > 0) {
        memcpy(last, message.data, message.size);
        last[message.size] = 1;
        absorb(&sum, last, 0);
    }
    /* When the sum is p or more, adding 5 carries into 2^130: then p is subtracted by adding 5 and dropping that bit. */
    uint64_t carry = 5;
    for (uint32_t i = 0; i < WORDS; i++) {
        carry = (carry + sum.h[i]) >> 32;
    }
    carry = (((uint32_t)carry + sum.above) >> 2) * 5; /* of a few bits */
    for (uint32_t i = 0; i < WORDS; i++) {
        carry += (uint64_t)sum.h[i] + tf_load32(key + 16 + 4 * i);
        tf_store32(tag + 4 * i, (uint32_t)carry);
        carry >>= 32;
    }
    tf_wipe(&sum, sizeof sum);
}
