/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaces curve_monocypher.c: every signature is valid. Otherwise a fuzzer would never reach the code behind a signature,
 * and a stolen key can sign anything. Only fuzz targets link this file.
 */
#include <string.h>

#include "crypto/curve.h"

void tf_curve_reduce(uint8_t scalar[32], const uint8_t wide[64])
{
    memcpy(scalar, wide, 32);
}

void tf_curve_mul_add(uint8_t scalar[32], const uint8_t a[32], const uint8_t b[32], const uint8_t c[32])
{
    (void)a;
    (void)b;
    memcpy(scalar, c, 32);
}

void tf_curve_base(uint8_t point[32], const uint8_t scalar[32])
{
    memcpy(point, scalar, 32);
}

int tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32])
{
    (void)signature;
    (void)key;
    (void)h;
    return TF_OK;
}

void tf_curve_agree(uint8_t shared[32], const uint8_t scalar[32], const uint8_t peer[32])
{
    (void)scalar;
    memcpy(shared, peer, 32);
}
