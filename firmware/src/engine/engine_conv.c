/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV_2D without a copy of the input: under a window, the taps of a kernel row lie one behind the other in the input and
 * in the weights, so a window is a few runs of bytes. Two pixels that see the kernel alike and two output channels are
 * computed at once, so that each byte is loaded for two products. Taps outside of the input count as its zero point: what
 * they add is that times the sum of their weights.
 */
#include "engine_filter.h"
#include "engine_mac.h"

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

static void run_row(const struct tf_convolution *layer, const struct tf_pair *pair, const int8_t *x, uint32_t count, int8_t *out)
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
    struct tf_pair pair;
    for (uint32_t channel = 0; channel < layer->channels; channel += 1 + pair.second) {
        tf_set_pair(&pair, layer, region, channel);
        int8_t *out = tf_region_output(layer, region) + channel;
        for (uint32_t row = 0; row < region->rows.count; row++) {
            run_row(layer, &pair, pair.x + row * layer->rows.stride * layer->row_bytes, region->columns.count, out);
            out += layer->columns.out * layer->channels;
        }
    }
}
