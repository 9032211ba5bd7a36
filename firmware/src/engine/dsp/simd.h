/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions of Armv7E-M and of Armv8-M with the DSP extension. Four int8 are loaded as a word, at any address, and
 * widened to two pairs of int16: SXTB16 takes bytes 0 and 2, or with a rotation 1 and 3. SMLAD multiplies two pairs and
 * adds both products. Both operands are widened in the same way, so the order within a pair does not matter. Inline
 * assembly is needed because compilers have no intrinsic for SXTB16 with a rotation.
 */
#ifndef TF_ENGINE_SIMD_H
#define TF_ENGINE_SIMD_H

#include <stdint.h>

static inline uint32_t load(const void *bytes)
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

#endif
