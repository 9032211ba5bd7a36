/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV_2D without a copy of the input. The taps of a kernel row are adjacent in the input and in the weights, so a window
 * is a few runs of bytes. Two output pixels of a region and two output channels are computed at once, so that each byte
 * is loaded for two products. A tap outside of the input counts as the input's zero point; together such taps add the
 * zero point times the sum of their weights.
 */
#include "engine/convolution.h"
#include "engine/filter.h"
#include "engine/mac.h"

/* x: the first tap of the first output. */
static void run_pixels(const struct tf_pair *pair, const int8_t *x, uint32_t pixels, uint32_t acc[4])
{
    if (pixels == 2) {
        tf_mac_2x2(&pair->runs, x, pair->start, acc);
    } else {
        tf_mac_1x2(&pair->runs, x, pair->start, acc);
    }
}

/* Dilated or grouped kernels: each tap is a run of its own. These are rare, so one pixel at a time is fast enough. */
static void run_scattered(const struct tf_pair *pair, const int8_t *x, uint32_t acc[4])
{
    struct tf_runs runs = pair->runs;
    acc[0] = pair->start[0];
    acc[1] = pair->start[1];
    for (uint32_t row = 0; row < pair->rows; row++) {
        runs.w = pair->runs.w + row * pair->kernel_row;
        tf_mac_1x2(&runs, x + row * pair->row_step, acc, acc);
    }
}

/* A row or column of outputs: how many, and the step to the next one in input and output. */
struct line {
    uint32_t count, x_step, out_step;
};

static void run_line(const struct tf_convolution *layer, const struct tf_pair *pair, const int8_t *x, struct line line, int8_t *out)
{
    uint32_t acc[4];
    for (uint32_t left = line.count, pixels; left > 0; left -= pixels) {
        pixels = left > 1 && pair->is_flat ? 2 : 1;
        if (pair->is_flat) {
            run_pixels(pair, x, pixels, acc);
        } else {
            run_scattered(pair, x, acc);
        }
        for (const uint32_t *got = acc; got != acc + 2 * pixels; got += 2) {
            out[0] = tf_requantize_output(layer, &pair->scale[0], got[0]);
            out[pair->second] = tf_requantize_output(layer, &pair->scale[1], got[1]);
            out += line.out_step;
        }
        x += left > pixels ? pixels * line.x_step : 0;
    }
}

static void conv_region(const struct tf_convolution *layer, const struct tf_region *region)
{
    const uint32_t rows = region->rows.count, columns = region->columns.count;
    struct line along = {columns, layer->columns.stride * layer->depth, layer->channels};
    struct line across = {rows, layer->rows.stride * layer->row_bytes, layer->columns.out * layer->channels};
    struct tf_pair pair;
    if ((columns & 1) * rows > (rows & 1) * columns) { /* vertical pairs leave fewer outputs without a partner */
        const struct line upright = across;
        across = along;
        along = upright;
    }
    for (uint32_t channel = 0; channel < layer->channels; channel += 1 + pair.second) {
        tf_pair_init(&pair, layer, region, channel);
        pair.runs.x_next = along.x_step;
        int8_t *out = tf_region_output(layer, region) + channel;
        for (uint32_t i = 0; i < across.count; i++) {
            run_line(layer, &pair, pair.x + i * across.x_step, along, out + i * across.out_step);
        }
    }
}

void tf_run_conv(const struct tf_net *net, const struct tf_record *record)
{
    tf_convolve(net, record, conv_region);
}
