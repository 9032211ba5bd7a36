/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV_2D without a copy of the input: under a window, the taps of a kernel row lie one behind the other in the input and
 * in the weights, so a window is a few runs of bytes. Two pixels that see the kernel alike and two output channels are
 * computed at once, so that each byte is loaded for two products. Taps outside of the input count as its zero point: what
 * they add is that times the sum of their weights.
 */
#include "engine_mac.h"
#include "engine_plan.h"
#include "engine_window.h"

/* One convolution, worked out once. */
struct layer {
    const struct tf_convolution_record *record;
    const int8_t *weights, *bias, *multipliers, *shifts;
    struct tf_ending ending;
    uint32_t height, width, depth;   /* of the input; depth of one group */
    uint32_t pixel_bytes, row_bytes; /* of the input */
    uint32_t channels, group_channels;
    uint32_t filter_bytes; /* weights of one output channel */
    bool rows_are_runs;    /* a kernel row is one run, not one for each tap */
    int32_t zero;
};

/* Where the kernel lies, for one or two pixels. */
struct window {
    const int8_t *image;
    int32_t y, x; /* of tap 0, 0 */
    struct tf_span rows, columns;
    uint32_t pixels;
};

static struct layer layer_of(const struct tf_net *net, const struct tf_convolution_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->head.input], *y = &net->tensors[record->head.output];
    const uint32_t depth = x->dims[3] / (uint32_t)record->groups;
    return (struct layer){
        .record = record,
        .weights = tf_weights(net, record->arrays.weights),
        .bias = tf_weights(net, record->arrays.bias),
        .multipliers = tf_weights(net, record->arrays.multipliers),
        .shifts = tf_weights(net, record->arrays.shifts),
        .ending = tf_ending_of(&record->head, y),
        .height = x->dims[1],
        .width = x->dims[2],
        .depth = depth,
        .pixel_bytes = x->dims[3],
        .row_bytes = (uint32_t)x->dims[2] * x->dims[3],
        .channels = y->dims[3],
        .group_channels = y->dims[3] / (uint32_t)record->groups,
        .filter_bytes = (uint32_t)record->kernel[0] * record->kernel[1] * depth,
        .rows_are_runs = record->groups == 1 && record->dilation[1] == 1,
        .zero = x->zero_point,
    };
}

static void multiply(const struct tf_runs *runs, uint32_t pixels, uint32_t acc[4])
{
    if (pixels == 2) {
        tf_mac_2x2(runs, acc);
    } else {
        tf_mac_1x2(runs, acc);
    }
}

static void add_inside(const struct layer *layer, const struct window *window, uint32_t channel, uint32_t w_next, uint32_t acc[4])
{
    const struct tf_convolution_record *record = layer->record;
    const uint32_t rows = window->rows.end - window->rows.begin;
    const uint32_t columns = window->columns.end - window->columns.begin;
    if (rows == 0 || columns == 0) {
        return;
    }
    const uint32_t y = (uint32_t)window->y + window->rows.begin * record->dilation[0];
    const uint32_t x = (uint32_t)window->x + window->columns.begin * record->dilation[1];
    const uint32_t kernel_row = record->kernel[1] * layer->depth;
    const uint32_t row_step = record->dilation[0] * layer->row_bytes;
    struct tf_runs runs = {
        .x = window->image + y * layer->row_bytes + x * layer->pixel_bytes + channel / layer->group_channels * layer->depth,
        .w = layer->weights + channel * layer->filter_bytes + window->rows.begin * kernel_row + window->columns.begin * layer->depth,
        .length = columns * layer->depth,
        .count = rows,
        .x_step = row_step,
        .w_step = kernel_row,
        .x_next = record->stride[1] * layer->pixel_bytes,
        .w_next = w_next,
    };
    if (layer->rows_are_runs) {
        multiply(&runs, window->pixels, acc);
        return;
    }
    runs.length = layer->depth;
    runs.count = columns;
    runs.x_step = record->dilation[1] * layer->pixel_bytes;
    runs.w_step = layer->depth;
    for (uint32_t row = 0; row < rows; row++) {
        multiply(&runs, window->pixels, acc);
        if (row + 1 < rows) {
            runs.x += row_step;
            runs.w += kernel_row;
        }
    }
}

/* The sum of the weights of one channel whose taps lie outside. */
static uint32_t weights_outside(const struct layer *layer, const struct window *window, uint32_t channel)
{
    const uint32_t kernel_row = layer->record->kernel[1] * layer->depth;
    const uint32_t left = window->columns.begin * layer->depth, right = window->columns.end * layer->depth;
    const int8_t *w = layer->weights + channel * layer->filter_bytes;
    uint32_t sum = tf_mac_sum(w, window->rows.begin * kernel_row);
    for (uint32_t row = window->rows.begin; row < window->rows.end; row++) {
        sum += tf_mac_sum(w + row * kernel_row, left);
        sum += tf_mac_sum(w + row * kernel_row + right, kernel_row - right);
    }
    return sum + tf_mac_sum(w + window->rows.end * kernel_row, layer->filter_bytes - window->rows.end * kernel_row);
}

static bool is_whole(const struct tf_convolution_record *record, const struct window *window)
{
    return window->rows.begin == 0 && window->rows.end == record->kernel[0] && window->columns.begin == 0 &&
           window->columns.end == record->kernel[1];
}

/* What channel and the one behind it start with; second is 0 when they are the same. */
static void start(const struct layer *layer, const struct window *window, uint32_t channel, uint32_t second, uint32_t acc[4])
{
    acc[0] = (uint32_t)tf_number(layer->bias, channel);
    acc[1] = (uint32_t)tf_number(layer->bias, channel + second);
    if (!is_whole(layer->record, window)) {
        acc[0] += (uint32_t)layer->zero * weights_outside(layer, window, channel);
        acc[1] += (uint32_t)layer->zero * weights_outside(layer, window, channel + second);
    }
    acc[2] = acc[0];
    acc[3] = acc[1];
}

static int8_t finish(const struct layer *layer, uint32_t acc, uint32_t channel)
{
    return tf_end(layer->ending, tf_mbqm((int32_t)acc, tf_number(layer->multipliers, channel), layer->shifts[channel]));
}

/* One output channel or two, of one or two pixels. */
static void run_channels(const struct layer *layer, const struct window *window, uint32_t channel, uint32_t second, int8_t *out)
{
    uint32_t acc[4];
    start(layer, window, channel, second, acc);
    add_inside(layer, window, channel, second * layer->filter_bytes, acc);
    for (uint32_t pixel = 0; pixel < window->pixels; pixel++) {
        out[0] = finish(layer, acc[2 * pixel], channel);
        out[second] = finish(layer, acc[2 * pixel + second], channel + second);
        out += layer->channels;
    }
}

static void run_window(const struct layer *layer, const struct window *window, int8_t *out)
{
    for (uint32_t channel = 0; channel < layer->channels;) {
        const uint32_t second = (channel + 1) % layer->group_channels != 0 ? 1 : 0; /* never of two groups */
        run_channels(layer, window, channel, second, out + channel);
        channel += 1 + second;
    }
}

static struct tf_span columns_at(const struct layer *layer, int32_t x)
{
    return tf_inside(x, layer->record->kernel[1], layer->record->dilation[1], layer->width);
}

static void run_row(const struct layer *layer, struct window *window, uint32_t pixels, int8_t *out)
{
    const struct tf_convolution_record *record = layer->record;
    window->x = -(int32_t)record->padding[1];
    window->columns = columns_at(layer, window->x);
    for (uint32_t done = 0; done < pixels; done += window->pixels) {
        struct tf_span next = {0, 0};
        window->pixels = 1;
        if (done + 1 < pixels) {
            next = columns_at(layer, window->x + record->stride[1]);
            window->pixels = next.begin == window->columns.begin && next.end == window->columns.end ? 2 : 1;
        }
        run_window(layer, window, out + done * layer->channels);
        window->x += (int32_t)(window->pixels * record->stride[1]);
        window->columns = window->pixels == 2 && done + 2 < pixels ? columns_at(layer, window->x) : next;
    }
}

void tf_run_conv(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_convolution_record *conv = (const struct tf_convolution_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct layer layer = layer_of(net, conv);
    int8_t *out = tf_output(net, y);
    struct window window = {.image = tf_input(net, x)};
    for (uint32_t image = 0; image < y->dims[0]; image++) {
        window.y = -(int32_t)conv->padding[0];
        for (uint32_t row = 0; row < y->dims[1]; row++) {
            window.rows = tf_inside(window.y, conv->kernel[0], conv->dilation[0], layer.height);
            run_row(&layer, &window, y->dims[2], out);
            out += (uint32_t)y->dims[2] * layer.channels;
            window.y += conv->stride[0];
        }
        window.image += layer.height * layer.row_bytes;
    }
}
