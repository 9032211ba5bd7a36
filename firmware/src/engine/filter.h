/* SPDX-License-Identifier: Apache-2.0 */
/* What filters bring to a region before any of its outputs is computed: done once, so made small and not fast. */
#ifndef TF_ENGINE_FILTER_H
#define TF_ENGINE_FILTER_H

#include "engine/convolution.h"
#include "engine/mac.h"

#define TF_LANES 4u

/* One output channel, or two of the same group, of a region. */
struct tf_pair {
    uint32_t start[2];
    struct tf_scale scale[2];
    uint32_t second; /* 1, or 0: the same channel twice */
    bool is_flat;    /* a kernel row is one run, not one for each tap */
    struct tf_runs runs;
    const int8_t *x; /* the first tap of the first output */
    uint32_t rows, row_step, kernel_row;
};

/* Some channels of a depthwise convolution that lie side by side, of a region. */
struct tf_lanes {
    uint32_t start[TF_LANES];
    struct tf_scale scale[TF_LANES];
};

/* Filters channel and, if it is of the same group, channel + 1; where the second pixel lies is left to the caller. */
void tf_set_pair(struct tf_pair *pair, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel);

/* Filters channel ... channel + count - 1 of a depthwise convolution. */
void tf_set_lanes(struct tf_lanes *lanes, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel,
                  uint32_t count);

#endif
