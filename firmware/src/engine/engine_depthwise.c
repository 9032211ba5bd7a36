/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEPTHWISE_CONV_2D: four channels at a time where each input channel has one filter, which is nearly always; else one by
 * one. If channels don't divide by four the last four are computed twice in part: the same numbers in the same place.
 */
#include "engine_layer.h"
#include "engine_mac.h"

#define LANES 4u

/* Some channels that lie side by side, of a region. */
struct lanes {
    uint32_t start[LANES];
    struct tf_scale scale[LANES];
};

static bool is_inside(const struct tf_region *region, uint32_t row, uint32_t column)
{
    return row >= region->rows.begin && row < region->rows.end && column >= region->columns.begin && column < region->columns.end;
}

/* What an output starts with: the bias, and the taps outside, which count as the input's zero point. */
static void set_lanes(struct lanes *lanes, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel, uint32_t count)
{
    for (uint32_t lane = 0; lane < count; lane++) {
        const int8_t *w = layer->weights + channel + lane;
        uint32_t start = (uint32_t)tf_number(layer->bias, channel + lane);
        lanes->scale[lane] = tf_channel_scale(layer, channel + lane);
        for (uint32_t row = 0; row < layer->rows.taps; row++) {
            for (uint32_t column = 0; column < layer->columns.taps; column++, w += layer->channels) {
                start += is_inside(region, row, column) ? 0 : (uint32_t)(layer->zero * *w);
            }
        }
        lanes->start[lane] = start;
    }
}

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
        .w_next = layer->channels,
    };
}

static void run_lanes(const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel)
{
    struct lanes lanes;
    set_lanes(&lanes, layer, region, channel, LANES);
    const int8_t *x = tf_region_input(layer, region) + channel;
    int8_t *row_out = tf_region_output(layer, region) + channel;
    const struct tf_runs runs = runs_of(layer, region, channel);
    const uint32_t step = layer->columns.stride * layer->depth;
    for (uint32_t row = 0; row < region->rows.count; row++) {
        const int8_t *from = x + row * layer->rows.stride * layer->row_bytes;
        int8_t *out = row_out + row * layer->columns.out * layer->channels;
        for (uint32_t column = 0; column < region->columns.count; column++, out += layer->channels) {
            uint32_t acc[LANES];
            tf_mac_depthwise(&runs, from + column * step, lanes.start, acc);
            for (uint32_t lane = 0; lane < LANES; lane++) {
                out[lane] = tf_finish(layer, &lanes.scale[lane], acc[lane]);
            }
        }
    }
}

static uint32_t multiply(const struct tf_runs *runs, const int8_t *from, uint32_t acc)
{
    for (uint32_t row = 0; row < runs->count; row++) {
        for (uint32_t column = 0; column < runs->length; column++) {
            const int32_t x = from[row * runs->x_step + column * runs->x_next];
            acc += (uint32_t)(x * runs->w[row * runs->w_step + column * runs->w_next]);
        }
    }
    return acc;
}

static void run_single(const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel)
{
    struct lanes lane;
    set_lanes(&lane, layer, region, channel, 1);
    const int8_t *x = tf_region_input(layer, region) + channel / layer->groups;
    int8_t *row_out = tf_region_output(layer, region) + channel;
    const struct tf_runs runs = runs_of(layer, region, channel);
    const uint32_t step = layer->columns.stride * layer->depth;
    for (uint32_t row = 0; row < region->rows.count; row++) {
        const int8_t *from = x + row * layer->rows.stride * layer->row_bytes;
        int8_t *out = row_out + row * layer->columns.out * layer->channels;
        for (uint32_t column = 0; column < region->columns.count; column++, out += layer->channels) {
            *out = tf_finish(layer, &lane.scale[0], multiply(&runs, from + column * step, lane.start[0]));
        }
    }
}

void tf_depthwise_region(const struct tf_convolution *layer, const struct tf_region *region)
{
    if (layer->groups > 1 || layer->channels < LANES) {
        for (uint32_t channel = 0; channel < layer->channels; channel++) {
            run_single(layer, region, channel);
        }
        return;
    }
    const uint32_t last = layer->channels - LANES;
    for (uint32_t channel = 0; channel <= last; channel += LANES) {
        run_lanes(layer, region, channel);
    }
    if (layer->channels % LANES != 0) {
        run_lanes(layer, region, last);
    }
}
