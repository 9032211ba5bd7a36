/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a kernel's taps fall: convolutions and pools. Outputs that see the same taps inside of the input lie in
 * rectangles, at most a few of them: what depends on the taps is worked out once for each.
 */
#ifndef TF_ENGINE_WINDOW_H
#define TF_ENGINE_WINDOW_H

#include <stdint.h>

/* One axis of a convolution or pool. */
struct tf_axis {
    uint32_t in, out;
    uint32_t taps, stride, dilation, padding;
};

/* Outputs first ... first + count - 1, all of which have taps begin ... end - 1 inside; base: where tap 0 of the first lies. */
struct tf_span {
    uint32_t first, count;
    uint32_t begin, end;
    int32_t base;
};

/* The outputs from first that see the input alike. */
struct tf_span tf_span_at(const struct tf_axis *axis, uint32_t first);

/* Where the first tap that lies inside falls. */
static inline uint32_t tf_span_start(const struct tf_axis *axis, const struct tf_span *span)
{
    return (uint32_t)span->base + span->begin * axis->dilation;
}

#endif
