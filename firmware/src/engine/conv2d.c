/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV_2D without a copy of the input: under a window, the taps of a kernel row lie one behind the other in the input and
 * in the weights, so a window is a few runs of bytes. Two pixels that see the kernel alike and two output channels are
 * computed at once, so that each byte is loaded for two products. Taps outside of the input count as its zero point: what
 * they add is that times the sum of their weights.
 */
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

/* Kernels that are dilated or of groups: one tap after another is a run. One pixel at a time will do. */
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

/* A line of outputs in either direction: how many, and from one to the next in input and output. */
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
            out[0] = tf_finish(layer, &pair->scale[0], got[0]);
            out[pair->second] = tf_finish(layer, &pair->scale[1], got[1]);
            out += line.out_step;
        }
        x += left > pixels ? pixels * line.x_step : 0;
    }
}

void tf_conv_region(const struct tf_convolution *layer, const struct tf_region *region)
{
    const uint32_t rows = region->rows.count, columns = region->columns.count;
    struct line along = {columns, layer->columns.stride * layer->depth, layer->channels};
    struct line across = {rows, layer->rows.stride * layer->row_bytes, layer->columns.out * layer->channels};
    struct tf_pair pair;
    if ((columns & 1) * rows > (rows & 1) * columns) { /* fewer outputs are left alone if pairs stand upright */
        const struct line upright = across;
        across = along;
        along = upright;
    }
    for (uint32_t channel = 0; channel < layer->channels; channel += 1 + pair.second) {
        tf_set_pair(&pair, layer, region, channel);
        pair.runs.x_next = along.x_step;
        int8_t *out = tf_region_output(layer, region) + channel;
        for (uint32_t i = 0; i < across.count; i++) {
            run_line(layer, &pair, pair.x + i * across.x_step, along, out + i * across.out_step);
        }
    }
}
