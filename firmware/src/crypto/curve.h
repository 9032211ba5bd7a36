/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The group of Ed25519 (RFC 8032): scalars modulo its order, points as 32 bytes. Two files implement it, and a port links
 * one of them (docs/adr/0043-two-curve-implementations.md): curve_monocypher.c is fast, curve_small.c is a fifth of its size.
 */
#ifndef TF_CRYPTO_CURVE_H
#define TF_CRYPTO_CURVE_H

#include <stdint.h>

#include "tinyfleet/error.h"

/* Reduce 64 little-endian bytes modulo the order. */
void tf_curve_reduce(uint8_t scalar[32], const uint8_t wide[64]);

/* a * b + c modulo the order; a need not be reduced. Constant time. */
void tf_curve_mul_add(uint8_t scalar[32], const uint8_t a[32], const uint8_t b[32], const uint8_t c[32]);

/* Multiply the base point by the scalar. Constant time. */
void tf_curve_base(uint8_t point[32], const uint8_t scalar[32]);

/* TF_OK when R = s * base - h * key for signature = R, s, s is below the order and key is a point; else TF_ERR_SIGNATURE. */
TF_MUST_CHECK int tf_curve_check(const uint8_t signature[64], const uint8_t key[32], const uint8_t h[32]);

/*
 * X25519 (RFC 7748, section 5) of a clamped scalar and a peer's public key, which is on the curve. All zero when it is of
 * small order; it may be all zero when it is not on the curve. Constant time in the scalar.
 */
void tf_curve_agree(uint8_t shared[32], const uint8_t scalar[32], const uint8_t peer[32]);

#endif
