/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX in fixed point (docs/specs/pack.md, section 8.3). */
#include "engine/plan.h"

#define ONE_Q0 INT32_MAX
#define QUARTER (1 << 24) /* 1/4 in Q5 */

/* SHL. */
static int32_t shift_left(int32_t x, uint32_t exponent)
{
    const int64_t shifted = (int64_t)x * (1 << exponent);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* e to the power of a, for a of at most 0; from Q5 to Q0. */
static int32_t exponential(int32_t a)
{
    static const int32_t steps[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0) {
        return ONE_Q0;
    }
    const int32_t part = (int32_t)((uint32_t)a & (QUARTER - 1)) - QUARTER;
    const uint32_t rest = (uint32_t)part - (uint32_t)a;
    const int32_t x = shift_left(part, 5) + (1 << 28);
    const int32_t x2 = tf_srdhm(x, x);
    const int32_t x3 = tf_srdhm(x2, x), x4 = tf_srdhm(x2, x2);
    const int32_t tail = tf_rdp(tf_srdhm(tf_rdp(x4, 2) + x3, 715827883) + x2, 1);
    int32_t result = tf_wrap_add(1895147668, tf_srdhm(1895147668, x + tail));
    for (uint32_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if ((rest >> (24 + i) & 1) != 0) {
            result = tf_srdhm(result, steps[i]);
        }
    }
    return result;
}

/* 1 / sum in Q0. *over: bits of the sum above one. The sum is in Q12 and at least 2^19. */
static int32_t reciprocal(uint32_t sum, uint32_t *over)
{
    uint32_t headroom = 0;
    while ((sum & 0x80000000u) == 0) {
        sum <<= 1;
        headroom++;
    }
    *over = 12 - headroom;
    const int32_t half = (int32_t)(((int64_t)(sum - 0x80000000u) + 0x80000000) >> 1);
    int32_t x = tf_wrap_add(1515870810, tf_srdhm(half, -1010580540));
    for (uint32_t i = 0; i < 3; i++) {
        x = tf_wrap_add(x, shift_left(tf_srdhm(x, (int32_t)((1u << 29) - (uint32_t)tf_srdhm(half, x))), 2));
    }
    return shift_left(x, 1);
}

static int32_t exponential_of(const struct tf_softmax_record *softmax, int32_t difference)
{
    return exponential(tf_srdhm((int32_t)((uint32_t)difference << softmax->shift), softmax->multiplier));
}

static void run_row(const struct tf_softmax_record *softmax, const int8_t *x, uint32_t length, int8_t *out)
{
    const struct tf_clamp clamp = {0, 255, -128};
    int32_t most = x[0];
    uint32_t sum = 0, over;
    for (uint32_t i = 1; i < length; i++) {
        most = x[i] > most ? x[i] : most;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (x[i] - most >= softmax->diff_min) {
            sum += (uint32_t)tf_rdp(exponential_of(softmax, x[i] - most), 12);
        }
    }
    const int32_t scale = reciprocal(sum, &over);
    const uint32_t exponent = over + 31 - 8; /* up to 35 */
    for (uint32_t i = 0; i < length; i++) {
        int32_t share = 0;
        if (x[i] - most >= softmax->diff_min) {
            const int32_t product = tf_srdhm(scale, exponential_of(softmax, x[i] - most));
            share = exponent > 31 ? 0 : tf_rdp(product, exponent);
        }
        out[i] = tf_clamped(clamp, share);
    }
}

void tf_run_softmax(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    const uint32_t length = x->dims[3];
    for (uint32_t rows = tf_elements(x) / length; rows > 0; rows--) {
        run_row((const struct tf_softmax_record *)record, from, length, to);
        from += length;
        to += length;
    }
}
