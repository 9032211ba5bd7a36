/* SPDX-License-Identifier: Apache-2.0 */
/* Sigmoid and hyperbolic tangent of 16 bits (docs/specs/pack.md, section 8.6). */
#ifndef TF_ENGINE_GATE_FUNCTIONS_H
#define TF_ENGINE_GATE_FUNCTIONS_H

#include <stdint.h>

#define TF_GATE_BITS 3u /* integer bits of the sum in a gate */

/* To -most - 1 ... most. */
static inline int32_t tf_saturated(int32_t x, int32_t most)
{
    const int32_t least = x < -most - 1 ? -most - 1 : x;
    return least > most ? most : least;
}

/* From Q3 to Q0. */
int32_t tf_sigmoid16(int32_t a);

/* From integer_bits (0 ... 6) to Q0. */
int32_t tf_tanh16(int32_t a, uint32_t integer_bits);

#endif
