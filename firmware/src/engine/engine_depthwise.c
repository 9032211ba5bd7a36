/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEPTHWISE_CONV_2D: four channels at a time where each input channel has one filter, which is nearly always; else one by
 * one. If channels don't divide by four the last four are computed twice in part: the same numbers in the same place.
 */
#include "engine_mac.h"
#include "engine_plan.h"
#include "engine_window.h"

#define LANES 4u

struct layer {
    const struct tf_convolution_record *record;
    const int8_t *weights, *bias, *multipliers, *shifts;
    struct tf_ending ending;
    uint32_t height, width, depth; /* of the input */
    uint32_t channels;
    int32_t zero;
};

struct window {
    const int8_t *image;
    int32_t y, x;
    struct tf_span rows, columns;
};

static struct layer layer_of(const struct tf_net *net, const struct tf_convolution_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->head.input], *y = &net->tensors[record->head.output];
    return (struct layer){
        .record = record,
        .weights = tf_weights(net, record->arrays.weights),
        .bias = tf_weights(net, record->arrays.bias),
        .multipliers = tf_weights(net, record->arrays.multipliers),
        .shifts = tf_weights(net, record->arrays.shifts),
        .ending = tf_ending_of(&record->head, y),
        .height = x->dims[1],
        .width = x->dims[2],
        .depth = x->dims[3],
        .channels = y->dims[3],
        .zero = x->zero_point,
    };
}

static bool is_inside(const struct window *window, uint32_t row, uint32_t column)
{
    return row >= window->rows.begin && row < window->rows.end && column >= window->columns.begin && column < window->columns.end;
}

/* Where a tap that lies inside falls in the input. */
static const int8_t *tap_at(const struct layer *layer, const struct window *window, uint32_t row, uint32_t column)
{
    const uint32_t y = (uint32_t)window->y + row * layer->record->dilation[0];
    const uint32_t x = (uint32_t)window->x + column * layer->record->dilation[1];
    return window->image + (y * layer->width + x) * layer->depth;
}

/* Taps outside count as the input's zero point. */
static void add_outside(const struct layer *layer, const struct window *window, uint32_t channel, uint32_t acc[LANES])
{
    const int32_t zero = layer->zero;
    const int8_t *w = layer->weights + channel;
    for (uint32_t row = 0; row < layer->record->kernel[0]; row++) {
        for (uint32_t column = 0; column < layer->record->kernel[1]; column++, w += layer->channels) {
            if (!is_inside(window, row, column)) {
                acc[0] += (uint32_t)(zero * w[0]);
                acc[1] += (uint32_t)(zero * w[1]);
                acc[2] += (uint32_t)(zero * w[2]);
                acc[3] += (uint32_t)(zero * w[3]);
            }
        }
    }
}

static void add_inside(const struct layer *layer, const struct window *window, uint32_t channel, uint32_t acc[LANES])
{
    const struct tf_convolution_record *record = layer->record;
    const uint32_t rows = window->rows.end - window->rows.begin;
    const uint32_t columns = window->columns.end - window->columns.begin;
    const uint32_t kernel_row = record->kernel[1] * layer->channels;
    if (rows == 0 || columns == 0) {
        return;
    }
    struct tf_runs runs = {
        .x = tap_at(layer, window, window->rows.begin, window->columns.begin) + channel,
        .w = layer->weights + window->rows.begin * kernel_row + window->columns.begin * layer->channels + channel,
        .length = columns,
        .count = rows,
        .x_step = record->dilation[0] * layer->width * layer->depth,
        .w_step = kernel_row,
        .x_next = layer->depth,
    };
    if (record->dilation[1] == 1) {
        tf_mac_depthwise(&runs, acc);
        return;
    }
    runs.length = 1;
    runs.count = columns;
    runs.x_step = record->dilation[1] * layer->depth;
    runs.w_step = layer->channels;
    for (uint32_t row = window->rows.begin; row < window->rows.end; row++) {
        runs.x = tap_at(layer, window, row, window->columns.begin) + channel;
        runs.w = layer->weights + row * kernel_row + window->columns.begin * layer->channels + channel;
        tf_mac_depthwise(&runs, acc);
    }
}

static int8_t finish(const struct layer *layer, uint32_t acc, uint32_t channel)
{
    return tf_end(layer->ending, tf_mbqm((int32_t)acc, tf_number(layer->multipliers, channel), layer->shifts[channel]));
}

static void run_lanes(const struct layer *layer, const struct window *window, int8_t *out)
{
    const struct tf_convolution_record *record = layer->record;
    const bool whole = window->rows.begin == 0 && window->rows.end == record->kernel[0] && window->columns.begin == 0 &&
                       window->columns.end == record->kernel[1];
    const uint32_t last = layer->channels - LANES;
    for (uint32_t channel = 0; channel < layer->channels; channel += LANES) {
        uint32_t acc[LANES];
        channel = channel < last ? channel : last;
        for (uint32_t lane = 0; lane < LANES; lane++) {
            acc[lane] = (uint32_t)tf_number(layer->bias, channel + lane);
        }
        if (!whole) {
            add_outside(layer, window, channel, acc);
        }
        add_inside(layer, window, channel, acc);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            out[channel + lane] = finish(layer, acc[lane], channel + lane);
        }
    }
}

static void run_single(const struct layer *layer, const struct window *window, int8_t *out)
{
    for (uint32_t channel = 0; channel < layer->channels; channel++) {
        const uint32_t source = channel / layer->record->groups;
        const int8_t *w = layer->weights + channel;
        uint32_t acc = (uint32_t)tf_number(layer->bias, channel);
        for (uint32_t row = 0; row < layer->record->kernel[0]; row++) {
            for (uint32_t column = 0; column < layer->record->kernel[1]; column++) {
                const int32_t x = is_inside(window, row, column) ? tap_at(layer, window, row, column)[source] : layer->zero;
                acc += (uint32_t)(x * *w);
                w += layer->channels;
            }
        }
        out[channel] = finish(layer, acc, channel);
    }
}

void tf_run_depthwise(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_convolution_record *conv = (const struct tf_convolution_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct layer layer = layer_of(net, conv);
    const bool by_lanes = conv->groups == 1 && layer.channels >= LANES;
    int8_t *out = tf_output(net, y);
    struct window window = {.image = tf_input(net, x)};
    for (uint32_t image = 0; image < y->dims[0]; image++) {
        window.y = -(int32_t)conv->padding[0];
        for (uint32_t row = 0; row < y->dims[1]; row++, window.y += conv->stride[0]) {
            window.rows = tf_inside(window.y, conv->kernel[0], conv->dilation[0], layer.height);
            window.x = -(int32_t)conv->padding[1];
            for (uint32_t column = 0; column < y->dims[2]; column++, window.x += conv->stride[1], out += layer.channels) {
                window.columns = tf_inside(window.x, conv->kernel[1], conv->dilation[1], layer.width);
                if (by_lanes) {
                    run_lanes(&layer, &window, out);
                } else {
                    run_single(&layer, &window, out);
                }
            }
        }
        window.image += layer.height * layer.width * layer.depth;
    }
}
