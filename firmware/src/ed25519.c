/* SPDX-License-Identifier: Apache-2.0 */
#include "ed25519.h"

#include <monocypher.h>

#include "sha512.h"

/* SHA-512(a || b || parts) modulo the group's order. a or b may be empty. */
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
    crypto_eddsa_reduce(scalar, digest);
    crypto_wipe(&sha, sizeof sha);
    crypto_wipe(digest, sizeof digest);
}

int tf_ed25519_verify(const uint8_t signature[64], const uint8_t public_key[32], const struct tf_view *parts, size_t count)
{
    uint8_t h[32];
    hash_to_scalar(h, (struct tf_view){signature, 32}, (struct tf_view){public_key, 32}, parts, count);
    return crypto_eddsa_check_equation(signature, public_key, h) == 0 ? TF_OK : TF_ERR_SIGNATURE;
}

void tf_ed25519_sign(uint8_t signature[64], const uint8_t seed[32], const uint8_t public_key[32], const struct tf_view *parts, size_t count)
{
    static const struct tf_view nothing = {0};
    struct tf_sha512 sha;
    uint8_t expanded[64]; /* scalar, then prefix */
    uint8_t r[32];
    uint8_t h[32];
    tf_sha512_init(&sha);
    tf_sha512_update(&sha, seed, 32);
    tf_sha512_final(&sha, expanded);
    crypto_eddsa_trim_scalar(expanded, expanded);
    hash_to_scalar(r, (struct tf_view){expanded + 32, 32}, nothing, parts, count);
    crypto_eddsa_scalarbase(signature, r);
    hash_to_scalar(h, (struct tf_view){signature, 32}, (struct tf_view){public_key, 32}, parts, count);
    crypto_eddsa_mul_add(signature + 32, h, expanded, r);
    crypto_wipe(&sha, sizeof sha);
    crypto_wipe(expanded, sizeof expanded);
    crypto_wipe(r, sizeof r);
}
