/* SPDX-License-Identifier: Apache-2.0 */
/* MBQM for shifts of -20 ... -1 whose result is clamped to int8: nearly all convolutions need no more. */
#ifndef TF_ENGINE_REQUANTIZE_H
#define TF_ENGINE_REQUANTIZE_H

#include "engine/fixed_point.h"

static inline int32_t tf_requantize_fast(uint32_t acc, int32_t multiplier, uint32_t right)
{
    return tf_rdp(tf_srdhm((int32_t)acc, multiplier), right);
}

#endif
