/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MBQM for shifts of -20 ... -1 whose result is clamped to int8: nearly all convolutions need no more.
 *
 * SRDHM(a, m) is the rounded upper half of 2a * m, which SMMULR computes when 2a fits. When it does not, QADD saturates;
 * the result is at least 2^29, which is above 255 after a shift by 20, and so is the exact result: both clamp to the same
 * value. RDP is a shift that adds the last bit shifted out, which ASRS leaves in the carry, after subtracting 1 from
 * negative numbers.
 */
#ifndef TF_ENGINE_REQUANTIZE_H
#define TF_ENGINE_REQUANTIZE_H

#include <stdint.h>

static inline int32_t tf_requantize_fast(uint32_t acc, int32_t multiplier, uint32_t right)
{
    int32_t x;
    __asm__("qadd %0, %1, %1\n\t"
            "smmulr %0, %0, %2\n\t"
            "add %0, %0, %0, asr #31\n\t"
            "asrs %0, %0, %3\n\t"
            "adc %0, %0, #0"
            : "=&r"(x)
            : "r"(acc), "r"(multiplier), "r"(right)
            : "cc");
    return x;
}

/* The same, then the zero point and a clamp to int8. */
static inline int8_t tf_requantize_saturated(uint32_t acc, int32_t multiplier, uint32_t right, int32_t zero)
{
    int32_t x;
    __asm__("qadd %0, %1, %1\n\t"
            "smmulr %0, %0, %2\n\t"
            "add %0, %0, %0, asr #31\n\t"
            "asrs %0, %0, %3\n\t"
            "adc %0, %0, %4\n\t"
            "ssat %0, #8, %0"
            : "=&r"(x)
            : "r"(acc), "r"(multiplier), "r"(right), "r"(zero)
            : "cc");
    return (int8_t)x;
}

#endif
