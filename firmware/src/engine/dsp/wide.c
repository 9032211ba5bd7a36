/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/wide.h"

#include "requantize.h"
#include "simd.h"

/*
 * One quad of three pixels and two channels: 24 products in 20 instructions of 4 bytes each. The sums of pixel 0 are in
 * a0 and b0, and so on.
 */
#define QUAD                         \
    "ldrd r8, r10, [%[w]], #8\n\t"   \
    "ldrd r12, lr, [%[x]], #8\n\t"   \
    "sxtb16 r9, r8, ror #8\n\t"      \
    "sxtb16 r8, r8\n\t"              \
    "sxtb16 r11, r10, ror #8\n\t"    \
    "sxtb16 r10, r10\n\t"            \
    "smlad %[a0], r12, r8, %[a0]\n\t"  \
    "smlad %[b0], r12, r10, %[b0]\n\t" \
    "smlad %[a0], lr, r9, %[a0]\n\t"   \
    "smlad %[b0], lr, r11, %[b0]\n\t"  \
    "ldrd r12, lr, [%[x]], #8\n\t"   \
    "smlad %[a1], r12, r8, %[a1]\n\t"  \
    "smlad %[b1], r12, r10, %[b1]\n\t" \
    "smlad %[a1], lr, r9, %[a1]\n\t"   \
    "smlad %[b1], lr, r11, %[b1]\n\t"  \
    "ldrd r12, lr, [%[x]], #8\n\t"   \
    "smlad %[a2], r12, r8, %[a2]\n\t"  \
    "smlad %[b2], r12, r10, %[b2]\n\t" \
    "smlad %[a2], lr, r9, %[a2]\n\t"   \
    "smlad %[b2], lr, r11, %[b2]\n\t"
#define QUAD_CODE_BYTES 80u
#define UNROLLED 4u

static inline uint32_t number(const int8_t *array, uint32_t index)
{
    uint32_t value;
    __builtin_memcpy(&value, (const int8_t *)__builtin_assume_aligned(array, 4) + 4u * index, sizeof value);
    return value;
}

void tf_wide_pixels(const struct tf_channels *channels, const uint8_t *scratch, int8_t *out, uint32_t step)
{
    const uint32_t rounds = (channels->quads + UNROLLED - 1) / UNROLLED;
    const uint32_t skipped = (rounds * UNROLLED - channels->quads) * QUAD_CODE_BYTES; /* of the first round */
    const int8_t *w = channels->w, *const bias = channels->bias, *const multipliers = channels->multipliers;
    const int8_t *const shifts = channels->shifts;
    const int32_t zero = channels->zero;
    const uint32_t last = channels->count - 1;
    for (uint32_t channel = 0; channel <= last; channel += 2) {
        const uint32_t other = channel < last ? channel + 1 : channel; /* the last one of an odd number is written twice */
        const uint8_t *x = scratch;
        uint32_t a0 = number(bias, channel), a1 = a0, a2 = a0;
        uint32_t b0 = number(bias, other), b1 = b0, b2 = b0;
        uint32_t left = rounds;
        /* there is no register to spare: the loop's counter is in memory */
        __asm__ volatile("ldr r8, %[skipped]\n\t"
                         "add pc, r8\n\t"
                         "nop\n"
                         "1:\n\t" QUAD QUAD QUAD QUAD
                         "ldr r8, %[left]\n\t"
                         "subs r8, #1\n\t"
                         "str r8, %[left]\n\t"
                         "bne 1b"
                         : [a0] "+r"(a0), [b0] "+r"(b0), [a1] "+r"(a1), [b1] "+r"(b1), [a2] "+r"(a2), [b2] "+r"(b2), [x] "+r"(x),
                           [w] "+r"(w), [left] "+m"(left)
                         : [skipped] "m"(skipped)
                         : "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
        int8_t *to = out + other;
        int32_t multiplier = (int32_t)number(multipliers, other);
        uint32_t right = (uint32_t)-shifts[other];
        to[0] = tf_requantize_saturated(b0, multiplier, right, zero);
        to[step] = tf_requantize_saturated(b1, multiplier, right, zero);
        to[2 * step] = tf_requantize_saturated(b2, multiplier, right, zero);
        to = out + channel;
        multiplier = (int32_t)number(multipliers, channel);
        right = (uint32_t)-shifts[channel];
        to[0] = tf_requantize_saturated(a0, multiplier, right, zero);
        to[step] = tf_requantize_saturated(a1, multiplier, right, zero);
        to[2 * step] = tf_requantize_saturated(a2, multiplier, right, zero);
    }
}

/* The two columns to the left of a 3x3 window are multiplied as pairs, the one to the right alone. */
static void run_3x3(const struct tf_filter *filter, const int16_t *x, int8_t *out)
{
    const int16_t *const taps = filter->taps;
    const uint32_t top = load(taps), middle = load(taps + 4), bottom = load(taps + 8);
    const uint32_t right_column = load(taps + 2) | load(taps + 6) << 16, right_bottom = load(taps + 10);
    const uint32_t step = 2 * filter->row_step, x_step = filter->along.x_step - 2, out_step = filter->along.out_step;
    const uint32_t bias = filter->bias, right = filter->right;
    const int32_t multiplier = filter->multiplier, zero = filter->zero;
    for (const int8_t *const end = out + filter->along.count * out_step; out != end; out += out_step) {
        uint32_t acc = bias, value;
        __asm__("ldr %[value], [%[x]]\n\t"
                "smlad %[acc], %[value], %[top], %[acc]\n\t"
                "ldr %[value], [%[x], %[step]]\n\t"
                "smlad %[acc], %[value], %[middle], %[acc]\n\t"
                "ldr %[value], [%[x], %[step], lsl #1]\n\t"
                "smlad %[acc], %[value], %[bottom], %[acc]\n\t"
                "ldrsh %[value], [%[x], #4]!\n\t"
                "smlabb %[acc], %[value], %[right], %[acc]\n\t"
                "ldrsh %[value], [%[x], %[step]]\n\t"
                "smlabt %[acc], %[value], %[right], %[acc]\n\t"
                "ldrsh %[value], [%[x], %[step], lsl #1]\n\t"
                "smlabb %[acc], %[value], %[right_bottom], %[acc]"
                : [acc] "+r"(acc), [value] "=&r"(value), [x] "+r"(x)
                : [top] "r"(top), [middle] "r"(middle), [bottom] "r"(bottom), [right] "r"(right_column),
                  [right_bottom] "r"(right_bottom), [step] "r"(step)
                : "memory");
        *out = tf_requantize_saturated(acc, multiplier, right, zero);
        x += x_step;
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
                acc = dual(load(at), load(w), acc);
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

/* Products of a quad of one channel with the widened input; its weights are in a register. */
#define CHANNEL(weights, sum)                \
    "sxtb16 %[pair], " weights ", ror #8\n\t" \
    "sxtb16 " weights ", " weights "\n\t"      \
    "smlad " sum ", %[pair], %[odd], " sum "\n\t" \
    "smlad " sum ", " weights ", %[even], " sum "\n\t"

/* 16 products in 22 instructions. All registers are in use. */
void tf_wide_four(const int8_t *w, const int8_t *x, uint32_t quads, uint32_t acc[4])
{
    uint32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3], x_even, x_odd, pair;
    __asm__ volatile("1:\n\t"
                     "ldr %[even], [%[x]], #4\n\t"
                     "ldmia %[w]!, {r8, r9, r10, r11}\n\t"
                     "sxtb16 %[odd], %[even], ror #8\n\t"
                     "sxtb16 %[even], %[even]\n\t" CHANNEL("r8", "%[a]") CHANNEL("r9", "%[b]") CHANNEL("r10", "%[c]")
                     CHANNEL("r11", "%[d]")
                     "cmp %[x], %[end]\n\t"
                     "bne 1b"
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x), [w] "+r"(w), [even] "=&r"(x_even),
                       [odd] "=&r"(x_odd), [pair] "=&r"(pair)
                     : [end] "r"(x + 4 * quads)
                     : "r8", "r9", "r10", "r11", "cc", "memory");
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}
