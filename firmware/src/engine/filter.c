/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/filter.h"

static int32_t sum(const int8_t *w, uint32_t count, uint32_t step)
{
    int32_t total = 0;
    for (; count > 0; count--) {
        total += *w;
        w += step;
    }
    return total;
}

/*
 * What the taps outside of the input add: its zero point times the sum of their weights. depth: weights per tap; step:
 * distance from one weight to the next, also from the last one of a tap to the first of the next.
 */
static uint32_t add_outside(const struct tf_convolution *layer, const struct tf_region *region, const int8_t *w, uint32_t depth, uint32_t step)
{
    const uint32_t kernel_row = layer->columns.taps * depth;
    const uint32_t left = region->columns.begin * depth, right = region->columns.end * depth;
    int32_t total = 0;
    for (uint32_t row = 0; row < layer->rows.taps; row++) {
        const bool is_inside = row >= region->rows.begin && row < region->rows.end;
        total += sum(w, is_inside ? left : kernel_row, step);
        total += is_inside ? sum(w + right * step, kernel_row - right, step) : 0;
        w += kernel_row * step;
    }
    return (uint32_t)layer->zero * (uint32_t)total;
}

void tf_pair_init(struct tf_pair *pair, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel)
{
    const uint32_t depth = layer->depth / layer->groups, group_channels = layer->channels / layer->groups;
    const uint32_t kernel_row = layer->columns.taps * depth, filter_bytes = layer->rows.taps * kernel_row;
    const uint32_t rows = region->rows.end - region->rows.begin, columns = region->columns.end - region->columns.begin;
    const int8_t *filter = layer->weights + channel * filter_bytes;
    *pair = (struct tf_pair){
        .second = (channel + 1) % group_channels != 0 ? 1 : 0,
        .is_flat = layer->groups == 1 && layer->columns.dilation == 1,
        .rows = columns > 0 ? rows : 0,
        .row_step = layer->rows.dilation * layer->row_bytes,
        .kernel_row = kernel_row,
        .x = tf_region_input(layer, region) + channel / group_channels * depth,
        .runs.w = filter + region->rows.begin * kernel_row + region->columns.begin * depth,
    };
    pair->runs.w_next = pair->second * filter_bytes;
    pair->runs.length = pair->is_flat ? columns * depth : depth;
    pair->runs.count = pair->is_flat ? pair->rows : columns;
    pair->runs.x_step = pair->is_flat ? pair->row_step : layer->columns.dilation * layer->depth;
    pair->runs.w_step = pair->is_flat ? kernel_row : depth;
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t one = channel + i * pair->second;
        pair->start[i] = (uint32_t)tf_number(layer->bias, one);
        pair->start[i] += add_outside(layer, region, filter + i * pair->runs.w_next, depth, 1);
        pair->scale[i] = tf_channel_scale(layer, one);
    }
}

void tf_lanes_init(struct tf_lanes *lanes, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel,
                  uint32_t count)
{
    for (uint32_t lane = 0; lane < count; lane++) {
        const uint32_t one = channel + lane;
        lanes->start[lane] = (uint32_t)tf_number(layer->bias, one);
        lanes->start[lane] += add_outside(layer, region, layer->weights + one, 1, layer->channels);
        lanes->scale[lane] = tf_channel_scale(layer, one);
    }
}
