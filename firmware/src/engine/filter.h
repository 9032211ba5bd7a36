/* SPDX-License-Identifier: Apache-2.0 */
/* Prepares the filters of a region before its outputs are computed. This runs once per region, so it is small, not fast. */
#ifndef TF_ENGINE_FILTER_H
#define TF_ENGINE_FILTER_H

#include "engine/convolution.h"
#include "engine/mac.h"

#define TF_LANES 4u

/* One output channel of a region, or two of the same group. */
struct tf_pair {
    uint32_t start[2];
    struct tf_scale scale[2];
    uint32_t second; /* distance to the second channel: 1, or 0 when there is only one */
    bool is_flat;    /* a kernel row is one run; otherwise each tap is a run */
    struct tf_runs runs;
    const int8_t *x; /* the first tap of the first output */
    uint32_t rows, row_step, kernel_row;
};

/* Adjacent channels of a depthwise convolution, of a region. */
struct tf_lanes {
    uint32_t start[TF_LANES];
    struct tf_scale scale[TF_LANES];
};

/* Prepare filter channel and, if it is in the same group, channel + 1. The caller sets pair->runs.x_next. */
void tf_pair_init(struct tf_pair *pair, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel);

/* Prepare filters channel ... channel + count - 1 of a depthwise convolution. */
void tf_lanes_init(struct tf_lanes *lanes, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel,
                  uint32_t count);

#endif
