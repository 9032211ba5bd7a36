/* SPDX-License-Identifier: Apache-2.0 */
/* What both convolutions share: a layer worked out once, and the walk over its rectangles of like outputs. */
#ifndef TF_ENGINE_LAYER_H
#define TF_ENGINE_LAYER_H

#include "engine/plan.h"
#include "requantize.h"
#include "engine/kernel_window.h"

struct tf_convolution {
    const int8_t *weights, *bias, *multipliers, *shifts;
    struct tf_ending ending;
    struct tf_axis rows, columns;
    uint32_t depth, channels; /* of input and output */
    uint32_t groups;          /* or the depth multiplier */
    uint32_t row_bytes;       /* of the input */
    int32_t zero;             /* of the input */
    bool is_quick;            /* tf_quick() is enough for all channels */
    const int8_t *image;
    int8_t *out;
};

/* Outputs of one image that see the kernel alike. */
struct tf_region {
    struct tf_span rows, columns;
};

/* Run every rectangle of every image. */
void tf_convolve(const struct tf_net *net, const struct tf_record *record, bool depthwise);

void tf_conv_region(const struct tf_convolution *layer, const struct tf_region *region);
void tf_depthwise_region(const struct tf_convolution *layer, const struct tf_region *region);

/* tf_scaled(), out of the way. */
__attribute__((noinline)) int32_t tf_layer_scaled(const struct tf_scale *scale, uint32_t acc);

static inline struct tf_scale tf_channel_scale(const struct tf_convolution *layer, uint32_t channel)
{
    return tf_scale_of(tf_number(layer->multipliers, channel), layer->shifts[channel]);
}

/* Bring an accumulator to an output. */
static inline int8_t tf_finish(const struct tf_convolution *layer, const struct tf_scale *scale, uint32_t acc)
{
    const int32_t x = layer->is_quick ? tf_quick(acc, scale->multiplier, scale->right) : tf_layer_scaled(scale, acc);
    return tf_end(layer->ending, x);
}

/* The first byte of the input that the region's first output multiplies. */
static inline const int8_t *tf_region_input(const struct tf_convolution *layer, const struct tf_region *region)
{
    return layer->image + tf_span_start(&layer->rows, &region->rows) * layer->row_bytes +
           tf_span_start(&layer->columns, &region->columns) * layer->depth;
}

static inline int8_t *tf_region_output(const struct tf_convolution *layer, const struct tf_region *region)
{
    return layer->out + (region->rows.first * layer->columns.out + region->columns.first) * layer->channels;
}

#endif
