/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/convolution.h"

struct tf_convolution tf_convolution_of(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_convolution_record *conv = (const struct tf_convolution_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    return (struct tf_convolution){
        .weights = tf_weights(net, conv->arrays.weights),
        .bias = tf_weights(net, conv->arrays.bias),
        .multipliers = tf_weights(net, conv->arrays.multipliers),
        .shifts = tf_weights(net, conv->arrays.shifts),
        .clamp = tf_clamp_of(record, y),
        .rows = {x->dims[1], y->dims[1], conv->kernel[0], conv->stride[0], conv->dilation[0], conv->padding[0]},
        .columns = {x->dims[2], y->dims[2], conv->kernel[1], conv->stride[1], conv->dilation[1], conv->padding[1]},
        .depth = x->dims[3],
        .channels = y->dims[3],
        .groups = conv->groups,
        .row_bytes = (uint32_t)x->dims[2] * x->dims[3],
        .images = x->dims[0],
        .zero = x->zero_point,
        .image = tf_input(net, x),
        .out = tf_output(net, y),
    };
}

bool tf_next_image(struct tf_convolution *layer)
{
    layer->image += layer->rows.in * layer->row_bytes;
    layer->out += layer->rows.out * layer->columns.out * layer->channels;
    layer->images--;
    return layer->images > 0;
}

void tf_clamp_all(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_tensor *y = &net->tensors[record->output];
    int8_t *out = tf_output(net, y);
    if (record->low == INT8_MIN && record->high == INT8_MAX) {
        return;
    }
    for (const int8_t *const end = out + tf_elements(y); out != end; out++) {
        *out = *out < record->low ? record->low : *out;
        *out = *out > record->high ? record->high : *out;
    }
}
