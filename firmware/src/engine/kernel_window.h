/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which taps of a kernel fall inside the input, for convolutions and pools. Outputs that see the same taps form a small
 * number of rectangles, so everything that depends on the taps is computed once per rectangle.
 */
#ifndef TF_ENGINE_KERNEL_WINDOW_H
#define TF_ENGINE_KERNEL_WINDOW_H

#include <stdint.h>

/* One axis of a convolution or pool. */
struct tf_axis {
    uint32_t in, out;
    uint32_t taps, stride, dilation, padding;
};

/* Outputs first ... first + count - 1, which all have taps begin ... end - 1 inside. base: position of tap 0 of the first. */
struct tf_span {
    uint32_t first, count;
    uint32_t begin, end;
    int32_t base;
};

/* The longest run of outputs from first on that see the same taps. */
struct tf_span tf_span_at(const struct tf_axis *axis, uint32_t first);

/* Position of the first tap that is inside. */
static inline uint32_t tf_span_start(const struct tf_axis *axis, const struct tf_span *span)
{
    return (uint32_t)span->base + span->begin * axis->dilation;
}

#endif
