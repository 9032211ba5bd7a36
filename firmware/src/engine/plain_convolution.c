/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions in the plain form, one output at a time: small code for packs of format 1 and for layers without scratch.
 * A tap outside of the input counts as the input's zero point.
 */
#include "engine/convolution.h"
#include "engine/mac.h"

/* How the weights of a filter lie: for each tap, depth adjacent ones; step: from one tap to the next. */
struct filter {
    const int8_t *w;
    uint32_t depth, step;
    bool is_run; /* the taps of a row are adjacent in the input as well */
};

/* acc + the products of one window. x: the first tap inside. */
static uint32_t multiply(const struct tf_convolution *layer, const struct filter *filter, const struct tf_taps taps[2], const int8_t *x,
                         uint32_t acc)
{
    const struct tf_taps rows = taps[0], columns = taps[1];
    const uint32_t x_step = layer->columns.dilation * layer->depth;
    const int8_t *w = filter->w;
    for (uint32_t row = 0; row < layer->rows.taps; row++) {
        const int8_t *from = x;
        for (uint32_t column = 0, count = 1; column < layer->columns.taps; column += count, w += count * filter->step) {
            const bool is_inside = row >= rows.begin && row < rows.end && column >= columns.begin && column < columns.end;
            count = is_inside && filter->is_run ? columns.end - column : 1;
            if (is_inside) {
                acc = tf_mac(from, w, count * filter->depth, acc);
                from += x_step;
                continue;
            }
            for (uint32_t i = 0; i < filter->depth; i++) {
                acc += (uint32_t)(layer->zero * w[i]);
            }
        }
        x += row >= rows.begin ? layer->rows.dilation * layer->row_bytes : 0;
    }
    return acc;
}

/* All channels of one output. */
static void run_pixel(const struct tf_convolution *layer, uint32_t row, uint32_t column, bool is_depthwise, int8_t *out)
{
    const int32_t top = tf_window_start(&layer->rows, row), left = tf_window_start(&layer->columns, column);
    const struct tf_taps taps[2] = {tf_taps_inside(&layer->rows, top), tf_taps_inside(&layer->columns, left)};
    const uint32_t first_row = (uint32_t)(top + (int32_t)(taps[0].begin * layer->rows.dilation));
    const uint32_t first_column = (uint32_t)(left + (int32_t)(taps[1].begin * layer->columns.dilation));
    const int8_t *const x = layer->image + first_row * layer->row_bytes + first_column * layer->depth;
    struct filter filter = {.w = layer->weights, .depth = 1, .step = layer->channels};
    uint32_t share = layer->groups; /* output channels that read the same input channels */
    if (!is_depthwise) {
        share = layer->channels / layer->groups;
        filter.depth = layer->depth / layer->groups;
        filter.step = filter.depth;
        filter.is_run = layer->groups == 1 && layer->columns.dilation == 1;
    }
    for (uint32_t channel = 0; channel < layer->channels; channel++) {
        const struct tf_scale scale = tf_scale_of(tf_number(layer->multipliers, channel), layer->shifts[channel]);
        const uint32_t bias = (uint32_t)tf_number(layer->bias, channel);
        const uint32_t acc = multiply(layer, &filter, taps, x + channel / share * filter.depth, bias);
        out[channel] = tf_clamped(layer->clamp, tf_requantize(&scale, acc));
        filter.w += is_depthwise ? 1 : layer->rows.taps * layer->columns.taps * filter.depth;
    }
}

static void run_plain(const struct tf_net *net, const struct tf_record *record, bool is_depthwise)
{
    struct tf_convolution layer = tf_convolution_of(net, record);
    do {
        int8_t *out = layer.out;
        for (uint32_t row = 0; row < layer.rows.out; row++) {
            for (uint32_t column = 0; column < layer.columns.out; column++, out += layer.channels) {
                run_pixel(&layer, row, column, is_depthwise, out);
            }
        }
    } while (tf_next_image(&layer));
}

void tf_run_conv(const struct tf_net *net, const struct tf_record *record)
{
    if (tf_is_wide(record)) {
        tf_run_wide_conv(net, record);
    } else {
        run_plain(net, record, false);
    }
}

void tf_run_depthwise(const struct tf_net *net, const struct tf_record *record)
{
    if (tf_is_wide(record)) {
        tf_run_wide_depthwise(net, record);
    } else {
        run_plain(net, record, true);
    }
}
