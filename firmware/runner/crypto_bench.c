/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cryptography costs on an emulated board, in instructions, each as a little-endian u32: SHA-256 over BYTES more, the
 * tag of a piece that is PIECE bytes longer and its copy, and what opening a session computes. The results follow, so that `make
 * bench-crypto` can check them: a digest, a tag and a shared secret.
 */
#include <string.h>

#include "board.h"
#include "crypto/ed25519.h"
#include "session/session.h"
#include "target.h"
#include "tinyfleet/sha256.h"

#define BYTES 16384u
#define REST 64u
#define PIECE 960u

int main(void);

static uint8_t data[BYTES + REST];

/* RFC 8032, section 7.1, test 1: a seed, its public key, and its signature of an empty message. */
static const uint8_t seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
static const uint8_t key[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
static const uint8_t signature[64] = {
    0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a,
    0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65, 0x22, 0x49, 0x01, 0x55,
    0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b, 0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b,
    0xd2, 0x5b, 0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b};
static const uint8_t base[32] = {9};

static uint32_t hash(uint32_t length, uint8_t digest[32])
{
    struct tf_sha256 sha;
    const uint32_t before = target_instructions();
    tf_sha256_init(&sha);
    tf_sha256_update(&sha, data, length);
    tf_sha256_final(&sha, digest);
    return target_instructions() - before;
}

static uint32_t tag_piece(uint32_t length, uint8_t tag[TF_TAG_BYTES])
{
    static const struct tf_session session = {.key = {1}};
    const uint32_t before = target_instructions();
    tf_session_tag(&session, &(struct tf_piece){8, 1, 0, {data, length}}, tag);
    return target_instructions() - before;
}

/* Each piece is copied into the arena, or out of it. */
static uint32_t copy_piece(uint32_t length)
{
    static uint8_t arena[PIECE + REST];
    const uint32_t before = target_instructions();
    memcpy(arena, data, length);
    return target_instructions() - before;
}

/* Verify the gateway's signature, and agree on a secret. */
static uint32_t open_session(uint8_t shared[32])
{
    const uint32_t before = target_instructions();
    if (tf_ed25519_verify(signature, key, NULL, 0) != TF_OK || tf_ed25519_agree(shared, seed, base) != TF_OK) {
        memset(shared, 0, 32);
    }
    return target_instructions() - before;
}

int main(void)
{
    struct {
        uint32_t hash, tag, copy, opening;
        uint8_t digest[32], mac[TF_TAG_BYTES], shared[32];
    } answer;
    for (uint32_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7u + (i >> 8));
    }
    const uint32_t shorter = hash(REST, answer.digest), small = tag_piece(REST, answer.mac);
    answer.hash = hash(sizeof data, answer.digest) - shorter;
    answer.tag = tag_piece(PIECE + REST, answer.mac) - small;
    answer.copy = copy_piece(PIECE + REST) - copy_piece(REST);
    answer.opening = open_session(answer.shared);
    board_uart_write((const uint8_t *)&answer, sizeof answer);
    for (;;) {
        board_sleep();
    }
}
