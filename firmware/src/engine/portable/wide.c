/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wide.h"

#include <stddef.h>

#include "requantize.h"

/* Keeps a compiler from loading all values of a quad first, for which there are too few registers. */
#define ONE_AFTER_THE_OTHER __asm__ volatile("" ::: "memory")

static inline uint32_t number(const int8_t *array, uint32_t index)
{
    uint32_t value;
    __builtin_memcpy(&value, (const int8_t *)__builtin_assume_aligned(array, 4) + 4u * index, sizeof value);
    return value;
}

static inline uint32_t product(int32_t x, int32_t w)
{
    return (uint32_t)(x * w);
}

void tf_wide_pixels(const struct tf_channels *channels, const uint8_t *scratch, int8_t *out, uint32_t step)
{
    const int8_t *w = channels->w;
    const uint32_t last = channels->count - 1;
    for (uint32_t channel = 0; channel <= last; channel += 2) {
        const uint32_t other = channel < last ? channel + 1 : channel; /* the last one of an odd number is written twice */
        const int8_t *x = (const int8_t *)scratch;
        uint32_t a0 = number(channels->bias, channel), a1 = a0, a2 = a0;
        uint32_t b0 = number(channels->bias, other), b1 = b0, b2 = b0;
        for (const int8_t *const end = w + 8 * (size_t)channels->quads; w != end; w += 8, x += 12) {
#pragma GCC unroll 4
            for (uint32_t i = 0; i < 4; i++) {
                const int8_t w0 = w[i], w1 = w[4 + i];
                a0 += product(x[i], w0);
                b0 += product(x[i], w1);
                a1 += product(x[4 + i], w0);
                b1 += product(x[4 + i], w1);
                a2 += product(x[8 + i], w0);
                b2 += product(x[8 + i], w1);
                ONE_AFTER_THE_OTHER;
            }
        }
        int8_t *to = out + other;
        int32_t multiplier = (int32_t)number(channels->multipliers, other);
        uint32_t right = (uint32_t)-channels->shifts[other];
        to[0] = tf_requantize_saturated(b0, multiplier, right, channels->zero);
        to[step] = tf_requantize_saturated(b1, multiplier, right, channels->zero);
        to[2 * step] = tf_requantize_saturated(b2, multiplier, right, channels->zero);
        to = out + channel;
        multiplier = (int32_t)number(channels->multipliers, channel);
        right = (uint32_t)-channels->shifts[channel];
        to[0] = tf_requantize_saturated(a0, multiplier, right, channels->zero);
        to[step] = tf_requantize_saturated(a1, multiplier, right, channels->zero);
        to[2 * step] = tf_requantize_saturated(a2, multiplier, right, channels->zero);
    }
}

/* acc + the products of one row of three taps */
static inline uint32_t three(const int16_t *x, int32_t left, int32_t middle, int32_t right, uint32_t acc)
{
    return acc + product(x[0], left) + product(x[1], middle) + product(x[2], right);
}

static void run_3x3(const struct tf_filter *filter, const int16_t *x, int8_t *out)
{
    const int16_t *const w = filter->taps;
    const int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[4], w4 = w[5], w5 = w[6], w6 = w[8], w7 = w[9], w8 = w[10];
    for (uint32_t left = filter->along.count; left > 0; left--, x += filter->along.x_step, out += filter->along.out_step) {
        uint32_t acc = three(x, w0, w1, w2, filter->bias);
        acc = three(x + filter->row_step, w3, w4, w5, acc);
        acc = three(x + 2 * filter->row_step, w6, w7, w8, acc);
        *out = tf_requantize_saturated(acc, filter->multiplier, filter->right, filter->zero);
    }
}

static void run_any(const struct tf_filter *filter, const int16_t *x, int8_t *out)
{
    const uint32_t columns = (filter->columns + 1) & ~1u;
    for (uint32_t left = filter->along.count; left > 0; left--, x += filter->along.x_step, out += filter->along.out_step) {
        const int16_t *w = filter->taps, *at = x;
        uint32_t acc = filter->bias;
        for (uint32_t row = filter->rows; row > 0; row--, at += filter->row_step - columns) {
            for (const int16_t *const end = at + columns; at != end; at += 2, w += 2) {
                acc += product(at[0], w[0]) + product(at[1], w[1]);
            }
        }
        *out = tf_requantize_saturated(acc, filter->multiplier, filter->right, filter->zero);
    }
}

void tf_wide_channel(const struct tf_filter *filter, const int16_t *x, int8_t *out)
{
    for (uint32_t left = filter->across.count; left > 0; left--, x += filter->across.x_step, out += filter->across.out_step) {
        if (filter->rows == 3 && filter->columns == 3) {
            run_3x3(filter, x, out);
        } else {
            run_any(filter, x, out);
        }
    }
}

void tf_wide_four(const int8_t *w, const int8_t *x, uint32_t quads, uint32_t acc[4])
{
    uint32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (const int8_t *const end = x + 4 * (size_t)quads; x != end; x += 4, w += 16) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++) {
            a += product(x[i], w[i]);
            b += product(x[i], w[4 + i]);
            c += product(x[i], w[8 + i]);
            d += product(x[i], w[12 + i]);
        }
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}
