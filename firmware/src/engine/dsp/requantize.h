/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MBQM for shifts of -20 ... -1, whose result is then clamped to int8: what nearly all convolutions need.
 *
 * SRDHM(a, m) is the upper half of 2a * m, rounded: SMMULR, once 2a fits. Where it does not, QADD's saturation leaves at
 * least 2^29, which is above 255 after 20 bits to the right, and so is the exact result: both are clamped alike.
 * RDP is a shift that adds the last bit shifted out (ASRS leaves it in the carry), after 1 is taken from what is negative.
 */
#ifndef TF_ENGINE_QUICK_H
#define TF_ENGINE_QUICK_H

#include <stdint.h>

static inline int32_t tf_quick(uint32_t acc, int32_t multiplier, uint32_t right)
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

#endif
