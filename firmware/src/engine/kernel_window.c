/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernel_window.h"

/* The taps inside the input for an output whose tap 0 is at position base. */
static void find_taps(const struct tf_axis *axis, int32_t base, uint32_t *begin, uint32_t *end)
{
    const int32_t size = (int32_t)axis->in;
    *begin = 0;
    *end = 0;
    if (base < size) {
        const uint32_t fitting = ((uint32_t)(size - base) + axis->dilation - 1) / axis->dilation;
        *end = fitting < axis->taps ? fitting : axis->taps;
    }
    if (base < 0) {
        *begin = ((uint32_t)-base + axis->dilation - 1) / axis->dilation;
        *begin = *begin < *end ? *begin : *end;
    }
}

struct tf_span tf_span_at(const struct tf_axis *axis, uint32_t first)
{
    struct tf_span span = {.first = first, .count = 1, .base = (int32_t)(first * axis->stride) - (int32_t)axis->padding};
    int32_t base = span.base;
    find_taps(axis, base, &span.begin, &span.end);
    while (first + span.count < axis->out) {
        uint32_t begin, end;
        base += (int32_t)axis->stride;
        find_taps(axis, base, &begin, &end);
        if (begin != span.begin || end != span.end) {
            break;
        }
        span.count++;
    }
    return span;
}
