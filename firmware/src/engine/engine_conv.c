/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV_2D without a copy of the input: under a window, the taps of a kernel row lie one behind the other in the input and
 * in the weights, so a window is a few runs of bytes. Two pixels that see the kernel alike and two output channels are
 * computed at once, so that each byte is loaded for two products. Taps outside of the input count as its zero point: what
 * they add is that times the sum of their weights.
 */
#include "engine_layer.h"
#include "engine_mac.h"

/* One output channel, or two of the same group, of a region. */
struct pair {
    uint32_t start[2];
    struct tf_scale scale[2];
    uint32_t second; /* 1, or 0: the same channel twice */
    bool is_flat;    /* a kernel row is one run, not one for each tap */
    struct tf_runs runs;
    const int8_t *x; /* the first tap of the first output */
    uint32_t rows, row_step, kernel_row;
};

/* The sum of the weights of one filter whose taps lie outside; depth: bytes of a tap. */
static uint32_t weights_outside(const struct tf_convolution *layer, const struct tf_region *region, const int8_t *w, uint32_t depth)
{
    const uint32_t kernel_row = layer->columns.taps * depth;
    const uint32_t left = region->columns.begin * depth, right = region->columns.end * depth;
    uint32_t sum = tf_mac_sum(w, region->rows.begin * kernel_row);
    for (uint32_t row = region->rows.begin; row < region->rows.end; row++) {
        sum += tf_mac_sum(w + row * kernel_row, left);
        sum += tf_mac_sum(w + row * kernel_row + right, kernel_row - right);
    }
    return sum + tf_mac_sum(w + region->rows.end * kernel_row, (layer->rows.taps - region->rows.end) * kernel_row);
}

static void set_pair(struct pair *pair, const struct tf_convolution *layer, const struct tf_region *region, uint32_t channel)
{
    const uint32_t depth = layer->depth / layer->groups, group_channels = layer->channels / layer->groups;
    const uint32_t kernel_row = layer->columns.taps * depth, filter_bytes = layer->rows.taps * kernel_row;
    const uint32_t rows = region->rows.end - region->rows.begin, columns = region->columns.end - region->columns.begin;
    const int8_t *filter = layer->weights + channel * filter_bytes;
    *pair = (struct pair){
        .second = (channel + 1) % group_channels != 0 ? 1 : 0,
        .is_flat = layer->groups == 1 && layer->columns.dilation == 1,
        .rows = columns > 0 ? rows : 0,
        .row_step = layer->rows.dilation * layer->row_bytes,
        .kernel_row = kernel_row,
        .x = tf_region_input(layer, region) + channel / group_channels * depth,
        .runs.w = filter + region->rows.begin * kernel_row + region->columns.begin * depth,
        .runs.x_next = layer->columns.stride * layer->depth,
    };
    pair->runs.w_next = pair->second * filter_bytes;
    pair->runs.length = pair->is_flat ? columns * depth : depth;
    pair->runs.count = pair->is_flat ? pair->rows : columns;
    pair->runs.x_step = pair->is_flat ? pair->row_step : layer->columns.dilation * layer->depth;
    pair->runs.w_step = pair->is_flat ? kernel_row : depth;
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t one = channel + i * pair->second;
        pair->start[i] = (uint32_t)tf_number(layer->bias, one);
        pair->start[i] += (uint32_t)layer->zero * weights_outside(layer, region, filter + i * pair->runs.w_next, depth);
        pair->scale[i] = tf_channel_scale(layer, one);
    }
}

/* x: the first tap of the first output. */
static void run_pixels(const struct pair *pair, const int8_t *x, uint32_t pixels, uint32_t acc[4])
{
    if (pixels == 2) {
        tf_mac_2x2(&pair->runs, x, pair->start, acc);
    } else {
        tf_mac_1x2(&pair->runs, x, pair->start, acc);
    }
}

/* Kernels that are dilated or of groups: one tap after another is a run. One pixel at a time will do. */
static void run_scattered(const struct pair *pair, const int8_t *x, uint32_t acc[4])
{
    struct tf_runs runs = pair->runs;
    acc[0] = pair->start[0];
    acc[1] = pair->start[1];
    for (uint32_t row = 0; row < pair->rows; row++) {
        runs.w = pair->runs.w + row * pair->kernel_row;
        tf_mac_1x2(&runs, x + row * pair->row_step, acc, acc);
    }
}

static void run_row(const struct tf_convolution *layer, const struct pair *pair, const int8_t *x, uint32_t count, int8_t *out)
{
    uint32_t acc[4];
    for (uint32_t left = count, pixels; left > 0; left -= pixels) {
        pixels = left > 1 && pair->is_flat ? 2 : 1;
        if (pair->is_flat) {
            run_pixels(pair, x, pixels, acc);
        } else {
            run_scattered(pair, x, acc);
        }
        for (const uint32_t *got = acc; got != acc + 2 * pixels; got += 2) {
            out[0] = tf_finish(layer, &pair->scale[0], got[0]);
            out[pair->second] = tf_finish(layer, &pair->scale[1], got[1]);
            out += layer->channels;
        }
        x += left > pixels ? pixels * pair->runs.x_next : 0;
    }
}

void tf_conv_region(const struct tf_convolution *layer, const struct tf_region *region)
{
    struct pair pair;
    for (uint32_t channel = 0; channel < layer->channels; channel += 1 + pair.second) {
        set_pair(&pair, layer, region, channel);
        int8_t *out = tf_region_output(layer, region) + channel;
        for (uint32_t row = 0; row < region->rows.count; row++) {
            run_row(layer, &pair, pair.x + row * layer->rows.stride * layer->row_bytes, region->columns.count, out);
            out += layer->columns.out * layer->channels;
        }
    }
}
