/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of the scratch of wide convolutions: the quads of the three pixels alternate. Loads widen for nothing. */
#ifndef TF_ENGINE_WIDEN_H
#define TF_ENGINE_WIDEN_H

#include <stdint.h>

#define TF_PIXEL_BYTES 4u /* of a quad */
#define TF_QUAD_BYTES 12u /* of three pixels */

/* Byte at of a quad. */
static inline void tf_put_byte(uint8_t *quad, uint32_t at, int8_t x)
{
    quad[at] = (uint8_t)x;
}

/* As a word where x is aligned, as it is in most layers: many cores load no others. */
static inline void tf_put_quad(uint8_t *quad, const int8_t *x)
{
    if ((uintptr_t)x % 4 == 0) {
        __builtin_memcpy(__builtin_assume_aligned(quad, 4), __builtin_assume_aligned(x, 4), 4);
        return;
    }
#pragma GCC unroll 1
    for (uint32_t at = 0; at < 4; at++) {
        tf_put_byte(quad, at, x[at]);
    }
}

#endif
