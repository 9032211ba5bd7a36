/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ed25519.h"

#include "crypto/curve.h"
#include "crypto/sha512.h"

/* SHA-512(a || b || parts) modulo the order of the group. a and b may be empty. */
static void hash_to_scalar(uint8_t scalar[32], struct tf_view a, struct tf_view b, const struct tf_view *parts, size_t count)
{
    struct tf_sha512 sha;
    uint8_t digest[64];
    tf_sha512_init(&sha);
    tf_sha512_update(&sha, a.data, a.size);
    tf_sha512_update(&sha, b.data, b.size);
    for (size_t i = 0; i < count; i++) {
        tf_sha512_update(&sha, parts[i].data, parts[i].size);
    }
    tf_sha512_final(&sha, digest);
    tf_curve_reduce(scalar, digest);
    tf_wipe(&sha, sizeof sha);
    tf_wipe(digest, sizeof digest);
}

/* The scalar of a private key and, after it, the prefix of its signatures (RFC 8032, section 5.1.5). */
static void expand_seed(uint8_t expanded[64], const uint8_t seed[32])
{
    struct tf_sha512 sha;
    tf_sha512_init(&sha);
    tf_sha512_update(&sha, seed, 32);
    tf_sha512_final(&sha, expanded);
    expanded[0] &= 0xf8;
    expanded[31] = (uint8_t)((expanded[31] & 0x7f) | 0x40);
    tf_wipe(&sha, sizeof sha);
}

int tf_ed25519_verify(const uint8_t signature[64], const uint8_t public_key[32], const struct tf_view *parts,
                      size_t count)
{
    uint8_t h[32];
    hash_to_scalar(h, (struct tf_view){signature, 32}, (struct tf_view){public_key, 32}, parts, count);
    return tf_curve_check(signature, public_key, h);
}

void tf_ed25519_sign(uint8_t signature[64], const uint8_t seed[32], const uint8_t public_key[32],
                     const struct tf_view *parts, size_t count)
{
    static const struct tf_view nothing = {0};
    uint8_t expanded[64];
    uint8_t r[32];
    uint8_t h[32];
    expand_seed(expanded, seed);
    hash_to_scalar(r, (struct tf_view){expanded + 32, 32}, nothing, parts, count);
    tf_curve_base(signature, r);
    hash_to_scalar(h, (struct tf_view){signature, 32}, (struct tf_view){public_key, 32}, parts, count);
    tf_curve_mul_add(signature + 32, h, expanded, r);
    tf_wipe(expanded, sizeof expanded);
    tf_wipe(r, sizeof r);
}

int tf_ed25519_agree(uint8_t shared[32], const uint8_t seed[32], const uint8_t peer[32])
{
    uint8_t expanded[64];
    expand_seed(expanded, seed);
    tf_curve_agree(shared, expanded, peer);
    tf_wipe(expanded, sizeof expanded);
    return tf_all(shared, 0, 32) ? TF_ERR_SIGNATURE : TF_OK;
}
