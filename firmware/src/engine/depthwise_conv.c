/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEPTHWISE_CONV_2D: four channels at a time where each input channel has one filter and taps lie side by side, which is
 * nearly always; else one by one. If channels don't divide by four the last four are computed twice in part: the same numbers in the same place.
 */
#include "engine/filter.h"
#include "engine/mac.h"

/* The taps inside, of an output whose first one is x. */
static struct tf_runs runs_of(const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel)
{
    const uint32_t kernel_row = layer->columns.taps * layer->channels;
    const uint32_t columns = region->columns.end - region->columns.begin;
    return (struct tf_runs){
        .w = layer->weights + region->rows.begin * kernel_row + region->columns.begin * layer->channels + channel,
        .length = columns,
        .count = columns > 0 ? region->rows.end - region->rows.begin : 0,
        .x_step = layer->rows.dilation * layer->row_bytes,
        .w_step = kernel_row,
        .x_next = layer->columns.dilation * layer->depth,
        .w_next = layer->channels, /* where it is one by one */
    };
}

static uint32_t multiply_one(const struct tf_runs *runs, const int8_t *x, uint32_t acc)
{
    for (uint32_t row = 0; row < runs->count; row++) {
        for (uint32_t column = 0; column < runs->length; column++) {
            const int32_t value = x[row * runs->x_step + column * runs->x_next];
            acc += (uint32_t)(value * runs->w[row * runs->w_step + column * runs->w_next]);
        }
    }
    return acc;
}

/* Channels channel ... channel + count - 1: TF_LANES of them, or one. */
static void run_lanes(const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel, uint32_t count)
{
    const struct tf_runs runs = runs_of(layer, region, channel);
    const uint32_t step = layer->columns.stride * layer->depth;
    const int8_t *x = tf_region_input(layer, region) + channel / layer->groups;
    int8_t *row_out = tf_region_output(layer, region) + channel;
    struct tf_lanes lanes;
    tf_set_lanes(&lanes, layer, region, channel, count);
    for (uint32_t row = 0; row < region->rows.count; row++) {
        const int8_t *from = x + row * layer->rows.stride * layer->row_bytes;
        int8_t *out = row_out + row * layer->columns.out * layer->channels;
        for (uint32_t column = 0; column < region->columns.count; column++, out += layer->channels) {
            uint32_t acc[TF_LANES];
            if (count == TF_LANES) {
                tf_mac_depthwise(&runs, from + column * step, lanes.start, acc);
            } else {
                acc[0] = multiply_one(&runs, from + column * step, lanes.start[0]);
            }
            for (uint32_t lane = 0; lane < count; lane++) {
                out[lane] = tf_finish(layer, &lanes.scale[lane], acc[lane]);
            }
        }
    }
}

void tf_depthwise_region(const struct tf_convolution *layer, const struct tf_region *region)
{
    const bool by_lanes = layer->groups == 1 && layer->columns.dilation == 1 && layer->channels >= TF_LANES;
    const uint32_t count = by_lanes ? TF_LANES : 1, last = layer->channels - count;
    for (uint32_t done = 0; done < layer->channels; done += count) {
        run_lanes(layer, region, done < last ? done : last, count);
    }
}
