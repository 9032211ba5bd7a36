/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What SHA-256 costs on an emulated board. Hashes two lengths that differ by BYTES and sends the difference of their
 * instructions as a little-endian u32, followed by the digest of the longer one. `make bench-crypto` divides and checks.
 */
#include "board.h"
#include "target.h"
#include "tinyfleet/sha256.h"

#define BYTES 16384u
#define REST 64u

int main(void);

static uint8_t data[BYTES + REST];

static uint32_t hash(uint32_t length, uint8_t digest[32])
{
    struct tf_sha256 sha;
    const uint32_t before = target_instructions();
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, data, length);
    tf_sha256_final(&sha, digest);
    return target_instructions() - before;
}

int main(void)
{
    uint8_t digest[32];
    for (uint32_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7u + (i >> 8));
    }
    const uint32_t shorter = hash(REST, digest);
    const uint32_t cost = hash(sizeof data, digest) - shorter;
    board_uart_write((const uint8_t *)&cost, sizeof cost);
    board_uart_write(digest, sizeof digest);
    for (;;) {
        board_sleep();
    }
}
