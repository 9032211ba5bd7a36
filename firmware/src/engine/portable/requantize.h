/* SPDX-License-Identifier: Apache-2.0 */
/* MBQM for shifts of -20 ... -1 whose result is clamped to int8: nearly all convolutions need no more. */
#ifndef TF_ENGINE_REQUANTIZE_H
#define TF_ENGINE_REQUANTIZE_H

#include "engine/fixed_point.h"

static inline int32_t tf_requantize_fast(uint32_t acc, int32_t multiplier, uint32_t right)
{
    return tf_rdp(tf_srdhm((int32_t)acc, multiplier), right);
}

/* The same, then the zero point and a clamp to int8. */
static inline int8_t tf_requantize_saturated(uint32_t acc, int32_t multiplier, uint32_t right, int32_t zero)
{
    const int64_t product = (int64_t)(int32_t)acc * multiplier;
    /* SRDHM: the upper half twice, and the two highest bits of the lower half, rounded */
    const int32_t high = (int32_t)((uint32_t)(product >> 32) * 2 + ((((uint32_t)product >> 30) + 1) >> 1));
    /* RDP: half of the last bit shifted out is added to numbers that are one less if they are negative */
    const int32_t value = ((((high + (high >> 31)) >> (right - 1)) + 1) >> 1) + zero;
    const int32_t least = value < INT8_MIN ? INT8_MIN : value;
    return (int8_t)(least > INT8_MAX ? INT8_MAX : least);
}

#endif
