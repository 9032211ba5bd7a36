/* SPDX-License-Identifier: Apache-2.0 */
/* Where a kernel's taps fall, along one axis: convolutions and pools. */
#ifndef TF_ENGINE_WINDOW_H
#define TF_ENGINE_WINDOW_H

#include <stdint.h>

/* Taps begin ... end - 1 lie inside of the input. */
struct tf_span {
    uint32_t begin;
    uint32_t end;
};

/* first: where tap 0 lies, may be outside. */
static inline struct tf_span tf_inside(int32_t first, uint32_t taps, uint32_t dilation, uint32_t size)
{
    struct tf_span span = {0, 0};
    if (first < (int32_t)size) {
        const uint32_t fitting = ((uint32_t)((int32_t)size - first) + dilation - 1) / dilation;
        span.end = fitting < taps ? fitting : taps;
    }
    if (first < 0) {
        span.begin = ((uint32_t)-first + dilation - 1) / dilation;
        span.begin = span.begin < span.end ? span.begin : span.end;
    }
    return span;
}

#endif
