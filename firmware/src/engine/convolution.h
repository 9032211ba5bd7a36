/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver of both convolutions. It divides the output into regions whose outputs see the same taps of the kernel, and
 * calls a region kernel for each: conv2d.c or depthwise_conv.c.
 */
#ifndef TF_ENGINE_CONVOLUTION_H
#define TF_ENGINE_CONVOLUTION_H

#include "engine/kernel_window.h"
#include "engine/plan.h"
#include "requantize.h"

/* A layer, prepared once per inference. */
struct tf_convolution {
    const int8_t *weights, *bias, *multipliers, *shifts;
    struct tf_clamp clamp;
    struct tf_axis rows, columns;
    uint32_t depth, channels; /* of input and output */
    uint32_t groups;          /* depthwise: the depth multiplier */
    uint32_t row_bytes;       /* of the input */
    int32_t zero;             /* of the input */
    bool is_fast;             /* all channels may use tf_requantize_fast() */
    const int8_t *image;
    int8_t *out;
};

/* A rectangle of outputs of one image that all see the same taps of the kernel inside the input. */
struct tf_region {
    struct tf_span rows, columns;
};

/* Computes all outputs of a region. */
typedef void tf_region_kernel(const struct tf_convolution *layer, const struct tf_region *region);

/* Run the kernel on every region of every image. */
void tf_convolve(const struct tf_net *net, const struct tf_record *record, tf_region_kernel *kernel);

/* tf_requantize(), kept out of the inner loops: few layers need it. */
__attribute__((noinline)) int32_t tf_requantize_outlined(const struct tf_scale *scale, uint32_t acc);

static inline struct tf_scale tf_channel_scale(const struct tf_convolution *layer, uint32_t channel)
{
    return tf_scale_of(tf_number(layer->multipliers, channel), layer->shifts[channel]);
}

/* Requantize an accumulator to an output. */
static inline int8_t tf_requantize_output(const struct tf_convolution *layer, const struct tf_scale *scale, uint32_t acc)
{
    const int32_t x = layer->is_fast ? tf_requantize_fast(acc, scale->multiplier, scale->right) : tf_requantize_outlined(scale, acc);
    return tf_clamped(layer->clamp, x);
}

/* The first byte of the input that the first output of the region multiplies. */
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
