/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/convolution.h"

#define FAST_SHIFT_MAX 20 /* of tf_requantize_fast() */

static struct tf_convolution layer_of(const struct tf_net *net, const struct tf_convolution_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->head.input], *y = &net->tensors[record->head.output];
    return (struct tf_convolution){
        .weights = tf_weights(net, record->arrays.weights),
        .bias = tf_weights(net, record->arrays.bias),
        .multipliers = tf_weights(net, record->arrays.multipliers),
        .shifts = tf_weights(net, record->arrays.shifts),
        .clamp = tf_clamp_of(&record->head, y),
        .rows = {x->dims[1], y->dims[1], record->kernel[0], record->stride[0], record->dilation[0], record->padding[0]},
        .columns = {x->dims[2], y->dims[2], record->kernel[1], record->stride[1], record->dilation[1], record->padding[1]},
        .depth = x->dims[3],
        .channels = y->dims[3],
        .groups = record->groups,
        .row_bytes = (uint32_t)x->dims[2] * x->dims[3],
        .zero = x->zero_point,
        .image = tf_input(net, x),
        .out = tf_output(net, y),
    };
}

int32_t tf_requantize_outlined(const struct tf_scale *scale, uint32_t acc)
{
    return tf_requantize(scale, acc);
}

/* May all channels use tf_requantize_fast()? */
static bool is_fast(const struct tf_convolution *layer)
{
    for (uint32_t channel = 0; channel < layer->channels; channel++) {
        if (layer->shifts[channel] < -FAST_SHIFT_MAX || layer->shifts[channel] >= 0) {
            return false;
        }
    }
    return true;
}

/* A 1x1 kernel without a stride can treat the image as one row, which leaves fewer outputs without a partner. */
static void flatten(struct tf_convolution *layer)
{
    struct tf_axis *rows = &layer->rows, *columns = &layer->columns;
    if (rows->taps == 1 && columns->taps == 1 && rows->stride == 1 && columns->stride == 1 && rows->in == rows->out &&
        columns->in == columns->out) {
        columns->in *= rows->in;
        columns->out = columns->in;
        layer->row_bytes *= rows->in;
        rows->in = 1;
        rows->out = 1;
    }
}

void tf_convolve(const struct tf_net *net, const struct tf_record *record, tf_region_kernel *kernel)
{
    struct tf_convolution layer = layer_of(net, (const struct tf_convolution_record *)record);
    struct tf_region region;
    flatten(&layer);
    layer.is_fast = is_fast(&layer);
    for (uint32_t images = net->tensors[record->output].dims[0]; images > 0; images--) {
        for (uint32_t row = 0; row < layer.rows.out; row += region.rows.count) {
            region.rows = tf_span_at(&layer.rows, row);
            for (uint32_t column = 0; column < layer.columns.out; column += region.columns.count) {
                region.columns = tf_span_at(&layer.columns, column);
                kernel(&layer, &region);
            }
        }
        layer.image += layer.rows.in * layer.row_bytes;
        layer.out += layer.rows.out * layer.columns.out * layer.channels;
    }
}
