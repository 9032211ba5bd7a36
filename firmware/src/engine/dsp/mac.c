/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For Armv7E-M and Armv8-M with the DSP extension. Four int8 are loaded as a word, at any address, and widened to two
 * pairs of int16: SXTB16 takes bytes 0 and 2, or with a rotation 1 and 3. SMLAD multiplies two pairs and adds both
 * products. Both operands are widened in the same way, so the order within a pair does not matter. Inline assembly is
 * needed because compilers have no intrinsic for SXTB16 with a rotation.
 */
#include "engine/mac.h"

static inline uint32_t load(const int8_t *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return word;
}

static inline uint32_t even(uint32_t word)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
}

static inline uint32_t odd(uint32_t word)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

/* acc + both products */
static inline uint32_t dual(uint32_t x, uint32_t w, uint32_t acc)
{
    __asm__("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(x), "r"(w));
    return acc;
}

/* acc + the lower product */
static inline uint32_t lower(uint32_t x, uint32_t w, uint32_t acc)
{
    __asm__("smlabb %0, %1, %2, %0" : "+r"(acc) : "r"(x), "r"(w));
    return acc;
}

/* acc + the upper product */
static inline uint32_t upper(uint32_t x, uint32_t w, uint32_t acc)
{
    __asm__("smlatt %0, %1, %2, %0" : "+r"(acc) : "r"(x), "r"(w));
    return acc;
}

static inline uint32_t product(int8_t x, int8_t w)
{
    return (uint32_t)((int32_t)x * w);
}

void tf_mac_1x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[2])
{
    const uint32_t w_next = runs->w_next;
    const uint32_t words = runs->length & ~3u;
    const uint32_t x_gap = runs->x_step - runs->length, w_gap = runs->w_step - runs->length;
    const int8_t *w = runs->w;
    uint32_t a = start[0], b = start[1];
    for (uint32_t run = runs->count; run > 0; run--) {
        const int8_t *const end = x + runs->length;
        for (const int8_t *const last = x + words; x != last; x += 4, w += 4) {
            const uint32_t xs = load(x), w0 = load(w), w1 = load(w + w_next);
            const uint32_t x_even = even(xs), x_odd = odd(xs);
            a = dual(x_even, even(w0), a);
            a = dual(x_odd, odd(w0), a);
            b = dual(x_even, even(w1), b);
            b = dual(x_odd, odd(w1), b);
        }
        for (; x != end; x++, w++) {
            a += product(*x, *w);
            b += product(*x, w[w_next]);
        }
        x += x_gap;
        w += w_gap;
    }
    acc[0] = a;
    acc[1] = b;
}

void tf_mac_2x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[4])
{
    const uint32_t x_next = runs->x_next, w_next = runs->w_next;
    const uint32_t words = runs->length & ~3u;
    const int8_t *w = runs->w;
    uint32_t a = start[0], b = start[1], c = start[0], d = start[1];
    for (uint32_t run = runs->count; run > 0; run--) {
        for (const int8_t *const last = x + words; x != last; x += 4, w += 4) {
            const uint32_t w0 = load(w), x0 = load(x), x1 = load(x + x_next), w1 = load(w + w_next);
            const uint32_t x0_even = even(x0), x0_odd = odd(x0), x1_even = even(x1), x1_odd = odd(x1);
            a = dual(x0_even, even(w0), a);
            c = dual(x1_even, even(w0), c);
            a = dual(x0_odd, odd(w0), a);
            c = dual(x1_odd, odd(w0), c);
            b = dual(x0_even, even(w1), b);
            d = dual(x1_even, even(w1), d);
            b = dual(x0_odd, odd(w1), b);
            d = dual(x1_odd, odd(w1), d);
        }
        for (uint32_t left = runs->length - words; left > 0; left--, x++, w++) {
            const int8_t w0 = *w, w1 = w[w_next];
            a += product(*x, w0);
            b += product(*x, w1);
            c += product(x[x_next], w0);
            d += product(x[x_next], w1);
        }
        x += runs->x_step - runs->length;
        w += runs->w_step - runs->length;
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}

void tf_mac_depthwise(const struct tf_runs *runs, const int8_t *x, const uint32_t start[4], uint32_t acc[4])
{
    const uint32_t next = runs->x_next, bytes = runs->length * next;
    const int8_t *x_end = x + bytes, *w_end = runs->w + bytes;
    uint32_t a = start[0], b = start[1], c = start[2], d = start[3];
    for (uint32_t run = runs->count; run > 0; run--) {
        for (uint32_t tap = 0u - bytes; tap != 0; tap += next) { /* the address wraps together with the offset */
            const uint32_t xs = load(x_end + tap), ws = load(w_end + tap);
            const uint32_t x_even = even(xs), w_even = even(ws), x_odd = odd(xs), w_odd = odd(ws);
            a = lower(x_even, w_even, a);
            c = upper(x_even, w_even, c);
            b = lower(x_odd, w_odd, b);
            d = upper(x_odd, w_odd, d);
        }
        x_end += runs->x_step;
        w_end += runs->w_step;
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}
