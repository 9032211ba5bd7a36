/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wide.h"

#include <stddef.h>

#include "requantize.h"

/* Keeps a compiler from loading all values of a quad before it adds their products: there are too few registers for it. */
#define ADDED(sums) __asm__ volatile("" : "+r"((sums).a), "+r"((sums).b), "+r"((sums).c)::"memory")

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

/* The sums of three pixels for one channel. */
struct sums {
    uint32_t a, b, c;
};

/* If the number of channels is odd, the last one counts for the one that is missing: it is written twice. */
static inline uint32_t present(const struct tf_channels *channels, uint32_t channel)
{
    return channel - (channel == channels->count ? 1 : 0);
}

static inline struct sums sums_of(const struct tf_channels *channels, uint32_t channel)
{
    const uint32_t bias = number(channels->bias, channel);
    return (struct sums){bias, bias, bias};
}

/* x: one value of each of three pixels, a quad apart */
static inline void add_products(struct sums *sums, const int8_t *x, int32_t w)
{
    sums->a += product(x[0], w);
    sums->b += product(x[4], w);
    sums->c += product(x[8], w);
}

static void put(const struct tf_channels *channels, uint32_t channel, struct sums sums, int8_t *out, uint32_t step)
{
    const int32_t multiplier = (int32_t)number(channels->multipliers, channel), zero = channels->zero;
    const uint32_t right = (uint32_t)-channels->shifts[channel], values[TF_PIXELS] = {sums.a, sums.b, sums.c};
    out += channel;
#pragma GCC unroll 1
    for (uint32_t i = 0; i < TF_PIXELS; i++, out += step) {
        *out = tf_requantize_saturated(values[i], multiplier, right, zero);
    }
}

/* Two pairs of channels at a time, if a core has registers for their sums; the last ones may be computed again. */
void tf_wide_pixels(const struct tf_channels *channels, const uint8_t *scratch, int8_t *out, uint32_t step)
{
    const size_t pair_bytes = 8 * (size_t)channels->quads;
    const uint32_t last_pair = (channels->count - 1) / 2;
    for (uint32_t pair = 0; pair <= last_pair; pair += 2) {
        const uint32_t second = pair < last_pair ? pair + 1 : pair;
        const int8_t *x = (const int8_t *)scratch, *w = channels->w + pair * pair_bytes, *v = channels->w + second * pair_bytes;
        const uint32_t odd = present(channels, 2 * pair + 1), second_odd = present(channels, 2 * second + 1);
        struct sums s0 = sums_of(channels, 2 * pair), s1 = sums_of(channels, odd);
        struct sums s2 = sums_of(channels, 2 * second), s3 = sums_of(channels, second_odd);
        for (const int8_t *const end = w + pair_bytes; w != end; w += 8, v += 8, x += 12) {
#pragma GCC unroll 4
            for (uint32_t i = 0; i < 4; i++) {
                add_products(&s0, x + i, w[i]);
                add_products(&s1, x + i, w[4 + i]);
                add_products(&s2, x + i, v[i]);
                add_products(&s3, x + i, v[4 + i]);
                ADDED(s0);
                ADDED(s1);
                ADDED(s2);
                ADDED(s3);
            }
        }
        put(channels, second_odd, s3, out, step);
        put(channels, 2 * second, s2, out, step);
        put(channels, odd, s1, out, step);
        put(channels, 2 * pair, s0, out, step);
    }
}

/* acc + the products of one row of three taps */
static inline uint32_t three(const int16_t *x, int32_t left, int32_t middle, int32_t right, uint32_t acc)
{
    return acc + product(x[0], left) + product(x[1], middle) + product(x[2], right);
}

/* Most is read before the loop: for all the compiler knows, the output may overlap the filter. */
static void run_3x3(const struct tf_filter *filter, const int16_t *x, int8_t *out)
{
    const int16_t *const w = filter->taps;
    const int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[4], w4 = w[5], w5 = w[6], w6 = w[8], w7 = w[9], w8 = w[10];
    const uint32_t bias = filter->bias, right = filter->right, out_step = filter->along.out_step;
    const uint32_t row_step = filter->row_step;
    const int32_t multiplier = filter->multiplier, zero = filter->zero;
    for (const int8_t *const end = out + filter->along.count * out_step; out != end; out += out_step, x += filter->along.x_step) {
        uint32_t acc = three(x, w0, w1, w2, bias);
        acc = three(x + row_step, w3, w4, w5, acc);
        acc = three(x + 2 * row_step, w6, w7, w8, acc);
        *out = tf_requantize_saturated(acc, multiplier, right, zero);
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
