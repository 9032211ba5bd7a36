/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernel_window.h"

struct tf_taps tf_taps_inside(const struct tf_axis *axis, int32_t start)
{
    const int32_t size = (int32_t)axis->in;
    struct tf_taps taps = {0, 0};
    if (start < size) {
        const uint32_t fitting = ((uint32_t)(size - start) + axis->dilation - 1) / axis->dilation;
        taps.end = fitting < axis->taps ? fitting : axis->taps;
    }
    if (start < 0) {
        taps.begin = ((uint32_t)-start + axis->dilation - 1) / axis->dilation;
        taps.begin = taps.begin < taps.end ? taps.begin : taps.end;
    }
    return taps;
}
