/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops of the wide forms of layers (docs/specs/pack.md, section 6.4). dsp/ implements them for cores with dual 16-bit
 * multipliers, portable/ in plain C for all others, each with its own layout of the scratch. The results are the same.
 * Accumulators are unsigned because the specification lets them wrap.
 */
#ifndef TF_ENGINE_WIDE_H
#define TF_ENGINE_WIDE_H

#include "engine/mac.h"

/* Output pixels that are computed together: each weight that is loaded is used for all of them. */
#define TF_PIXELS 3u

/* Output channels of a group of a convolution. */
struct tf_channels {
    const int8_t *w;                           /* two channels interleaved, four bytes of each at a time */
    const int8_t *bias, *multipliers, *shifts; /* of the first channel */
    uint32_t count;
    uint32_t quads; /* of a filter */
    int32_t zero;   /* of the output */
};

/*
 * All channels of TF_PIXELS pixels, saturated to int8. scratch: the pixels, as widen.h lays them out. step: from one pixel of
 * the output to the next, or 0 if all are the same.
 */
TF_ALONE void tf_wide_pixels(const struct tf_channels *channels, const uint8_t *scratch, int8_t *out, uint32_t step);

/* Four channels of a dense layer, interleaved by quads: acc += products. x may have any alignment. */
TF_ALONE void tf_wide_four(const int8_t *w, const int8_t *x, uint32_t quads, uint32_t acc[4]);

/* Outputs along one axis: how many, and the step to the next one in the plane and in the output. */
struct tf_line {
    uint32_t count, x_step, out_step;
};

/* One filter of a depthwise convolution. */
struct tf_filter {
    const int16_t *taps; /* rows of an even number of taps, aligned to 4 */
    uint32_t rows, columns;
    uint32_t row_step;   /* from one row of taps to the next in the plane */
    struct tf_line along, across;
    uint32_t bias, right;
    int32_t multiplier, zero;
};

/* All outputs of one channel of a band, saturated to int8. x: the plane, aligned to 4. */
TF_ALONE void tf_wide_channel(const struct tf_filter *filter, const int16_t *x, int8_t *out);

#endif
