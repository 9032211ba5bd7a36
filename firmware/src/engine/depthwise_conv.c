/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEPTHWISE_CONV_2D: four channels at a time when each input channel has one filter and the kernel is not dilated, which
 * is nearly always the case; otherwise one by one. When the number of channels is not a multiple of four, the last group
 * overlaps the one before and computes the same numbers again.
 */
#include "engine/convolution.h"
#include "engine/filter.h"
#include "engine/mac.h"

/* The taps inside the input, as runs from the first tap of an output. */
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
        .w_next = layer->channels, /* used when channels are computed one by one */
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
    tf_lanes_init(&lanes, layer, region, channel, count);
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
                out[lane] = tf_requantize_output(layer, &lanes.scale[lane], acc[lane]);
            }
        }
    }
}

static void depthwise_region(const struct tf_convolution *layer, const struct tf_region *region)
{
    const bool by_lanes = layer->groups == 1 && layer->columns.dilation == 1 && layer->channels >= TF_LANES;
    const uint32_t count = by_lanes ? TF_LANES : 1, last = layer->channels - count;
    for (uint32_t done = 0; done < layer->channels; done += count) {
        run_lanes(layer, region, done < last ? done : last, count);
    }
}

void tf_run_depthwise(const struct tf_net *net, const struct tf_record *record)
{
    tf_convolve(net, record, depthwise_region);
}
