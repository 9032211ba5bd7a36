/* SPDX-License-Identifier: Apache-2.0 */
/* The curve of monocypher: for hosts, and for devices with 10 KB of flash to spare. */
#include <monocypher.h>

#include "crypto/curve.h"

void tf_curve_reduce(uint8_t scalar[32], const uint8_t wide[64])
{
    crypto_eddsa_reduce(scalar, wide);
}

void tf_curve_mul_add(uint8_t scalar[32], const uint8_t a[32], const uint8_t b[32], const uint8_t c[32])
{
    crypto_eddsa_mul_add(scalar, a, b, c);
}

void tf_curve_base(uint8_t point[32], const uint8_t scalar[32])
{
    crypto_eddsa_scalarbase(point, scalar);
}

int tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32])
{
    return crypto_eddsa_check_equation(signature, key, h) == 0 ? TF_OK : TF_ERR_SIGNATURE;
}

void tf_curve_agree(uint8_t shared[32], const uint8_t scalar[32], const uint8_t peer[32])
{
    crypto_x25519(shared, scalar, peer);
}
