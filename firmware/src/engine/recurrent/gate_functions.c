/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/recurrent/gate_functions.h"

#include "engine/fixed_point.h"

#define ONE 32767
#define HALF 16384
#define ONE_OF_Q2 8192
#define STEPS 7u
#define ALL_STEPS 5u /* integer bits; with more, results are 0 below -32 */

/* SRDHM of 16 bits: P in the specification. */
static int32_t product(int32_t a, int32_t b)
{
    const int32_t high = (a * b + (1 << 14)) >> 15;
    return high > ONE ? ONE : high;
}

/* e to the power of a, for a of at most 0; from Q(integer_bits) to Q0. */
static int32_t exponential(int32_t a, uint32_t integer_bits)
{
    static const int16_t steps[STEPS] = {25520, 19875, 12055, 4435, 600, 11, 0};
    const uint32_t quarter_bits = 13u - integer_bits;
    const int32_t quarter = 1 << quarter_bits;
    if (a == 0) {
        return ONE;
    }
    if (integer_bits > ALL_STEPS && a < -(1 << (20u - integer_bits))) {
        return 0;
    }
    const int32_t part = (a & (quarter - 1)) - quarter;
    const uint32_t rest = (uint32_t)(part - a);
    const int32_t x = part * (1 << integer_bits) + (1 << 12);
    const int32_t x2 = product(x, x);
    const int32_t x3 = product(x2, x), x4 = product(x2, x2);
    const int32_t tail = tf_rdp(product(tf_rdp(x4, 2) + x3, 10923) + x2, 1);
    int32_t result = tf_saturated(28918 + product(28918, x + tail), ONE);
    for (uint32_t i = 0; i < STEPS; i++) { /* rest has no bits beyond those of its range */
        if ((rest >> (quarter_bits + i) & 1) != 0) {
            result = product(result, steps[i]);
        }
    }
    return result;
}

/* 2 / (1 + e to the power of -|a|), in Q2. */
static int32_t two_over(int32_t a, uint32_t integer_bits)
{
    const int32_t half = (exponential(a < 0 ? a : -a, integer_bits) + ONE + 1) >> 1;
    int32_t x = 23130 + product(half, -15420);
    for (uint32_t round = 0; round < 3; round++) {
        x = (int16_t)(x + tf_saturated(product(x, ONE_OF_Q2 - product(half, x)) * 4, ONE));
    }
    return x;
}

int32_t tf_sigmoid16(int32_t a)
{
    const int32_t above = tf_saturated(two_over(a, TF_GATE_BITS) * 2, ONE);
    if (a == 0) {
        return HALF;
    }
    return a > 0 ? above : ONE - above;
}

int32_t tf_tanh16(int32_t a, uint32_t integer_bits)
{
    const int32_t size = tf_saturated((int16_t)(two_over(a, integer_bits + 1) - ONE_OF_Q2) * 4, ONE);
    if (a == 0) {
        return 0;
    }
    return a > 0 ? size : -size;
}
