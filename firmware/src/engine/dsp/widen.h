/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of the scratch of wide convolutions. Each quad of bytes becomes two words of int16, bytes 0 and 2 and bytes
 * 1 and 3, as SXTB16 makes them of the weights. The quads of the three pixels alternate.
 */
#ifndef TF_ENGINE_WIDEN_H
#define TF_ENGINE_WIDEN_H

#include <stdint.h>

#define TF_PIXEL_BYTES 8u /* of a quad */
#define TF_QUAD_BYTES 24u /* of three pixels */

static inline void tf_put_quad(uint8_t *quad, const int8_t *x)
{
    uint32_t word, pair[2];
    __builtin_memcpy(&word, x, sizeof word);
    __asm__("sxtb16 %0, %1" : "=r"(pair[0]) : "r"(word));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair[1]) : "r"(word));
    __builtin_memcpy(__builtin_assume_aligned(quad, 4), pair, sizeof pair);
}

/* Byte at of a quad. */
static inline void tf_put_byte(uint8_t *quad, uint32_t at, int8_t x)
{
    const int16_t wide = x;
    __builtin_memcpy(__builtin_assume_aligned(quad + (at & 1) * 4 + (at & 2), 2), &wide, sizeof wide);
}

#endif
