/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed-point arithmetic of packs (docs/specs/pack.md, section 8). Where the specification lets a sum wrap, it is computed
 * in unsigned numbers, because a hostile pack may make it overflow.
 */
#ifndef TF_ENGINE_FIXED_POINT_H
#define TF_ENGINE_FIXED_POINT_H

#include <stdint.h>

static inline int32_t tf_wrap_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* SRDHM. Adding 2^30 and shifting rounds like the specification's division, even for ties of negative products. */
static inline int32_t tf_srdhm(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* RDP for exponents of 0 ... 31. */
static inline int32_t tf_rdp(int32_t x, uint32_t exponent)
{
    const uint32_t mask = (1u << exponent) - 1u;
    const uint32_t threshold = (mask >> 1) + ((uint32_t)x >> 31);
    return (x >> exponent) + (((uint32_t)x & mask) > threshold ? 1 : 0);
}

/* Multiplier and shift of MBQM, prepared once for many numbers. */
struct tf_scale {
    int32_t multiplier;
    uint32_t left, right, mask, half;
};

/* shift is -31 ... 30; negative shifts to the right. */
static inline struct tf_scale tf_scale_of(int32_t multiplier, int32_t shift)
{
    const uint32_t right = shift < 0 ? (uint32_t)-shift : 0;
    const uint32_t mask = (1u << right) - 1u;
    return (struct tf_scale){multiplier, shift > 0 ? (uint32_t)shift : 0, right, mask, mask >> 1};
}

/* MBQM. */
static inline int32_t tf_requantize(const struct tf_scale *scale, uint32_t x)
{
    const int32_t high = tf_srdhm((int32_t)(x << scale->left), scale->multiplier);
    const uint32_t threshold = scale->half + ((uint32_t)high >> 31);
    return (high >> scale->right) + (((uint32_t)high & scale->mask) > threshold ? 1 : 0);
}

/* SR, saturated to 32 bits; shift is 1 ... 62. */
static inline int32_t tf_sr(int32_t x, int32_t multiplier, uint32_t shift)
{
    const uint64_t product = (uint64_t)(x < 0 ? 0u - (uint32_t)x : (uint32_t)x) * (uint32_t)multiplier;
    int32_t magnitude;
    if (shift > 32) { /* the rounding term is in the upper half, so the lower one does not matter; nothing can saturate */
        magnitude = (int32_t)(((uint32_t)(product >> 32) + (1u << (shift - 33))) >> (shift - 32));
    } else {
        const uint64_t scaled = (product + ((uint64_t)1 << (shift - 1))) >> shift;
        magnitude = scaled > INT32_MAX ? INT32_MAX : (int32_t)scaled;
    }
    return x < 0 ? -magnitude : magnitude;
}

/* The last step of an operator. The limits apply before the zero point is added, so that nothing overflows. */
struct tf_clamp {
    int32_t least;
    int32_t most;
    int32_t zero;
};

static inline int8_t tf_clamped(struct tf_clamp clamp, int32_t value)
{
    value = value < clamp.least ? clamp.least : value;
    value = value > clamp.most ? clamp.most : value;
    return (int8_t)(value + clamp.zero);
}

#endif
