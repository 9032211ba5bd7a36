/* SPDX-License-Identifier: Apache-2.0 */
/* What both convolutions and both of their forms share. */
#ifndef TF_ENGINE_CONVOLUTION_H
#define TF_ENGINE_CONVOLUTION_H

#include "engine/kernel_window.h"
#include "engine/plan.h"

/* A layer, prepared once per inference. */
struct tf_convolution {
    const int8_t *weights, *bias, *multipliers, *shifts;
    struct tf_clamp clamp;
    struct tf_axis rows, columns;
    uint32_t depth, channels; /* of input and output */
    uint32_t groups;          /* depthwise: the depth multiplier */
    uint32_t row_bytes;       /* of the input */
    uint32_t images;
    int32_t zero; /* of the input */
    const int8_t *image;
    int8_t *out;
};

struct tf_convolution tf_convolution_of(const struct tf_net *net, const struct tf_record *record);

/* Go to the next image; false after the last one. */
bool tf_next_image(struct tf_convolution *layer);

void tf_run_wide_conv(const struct tf_net *net, const struct tf_record *record);
void tf_run_wide_depthwise(const struct tf_net *net, const struct tf_record *record);

/* Clamp an output that is saturated to int8; few layers have a narrower clamp. */
void tf_clamp_all(const struct tf_net *net, const struct tf_record *record);

#endif
