/* SPDX-License-Identifier: Apache-2.0 */
/* Which taps of a kernel fall inside the input, for convolutions and pools. */
#ifndef TF_ENGINE_KERNEL_WINDOW_H
#define TF_ENGINE_KERNEL_WINDOW_H

#include <stdint.h>

/* One axis of a convolution or pool. */
struct tf_axis {
    uint32_t in, out;
    uint32_t taps, stride, dilation, padding;
};

/* The taps inside the input: begin ... end - 1. */
struct tf_taps {
    uint32_t begin, end;
};

/* The position of tap 0 of an output. */
static inline int32_t tf_window_start(const struct tf_axis *axis, uint32_t output)
{
    return (int32_t)(output * axis->stride) - (int32_t)axis->padding;
}

/* start: the position of tap 0. */
struct tf_taps tf_taps_inside(const struct tf_axis *axis, int32_t start);

#endif
