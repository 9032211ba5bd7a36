/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that fill the scratch of layers in the wide form, and the clamp after it. */
#ifndef TF_ENGINE_SCRATCH_H
#define TF_ENGINE_SCRATCH_H

#include "engine/plan.h"

/* Where the next byte of a window of a convolution goes. */
struct tf_cursor {
    uint8_t *quad;
    uint32_t at;
};

/* Append bytes to a window. step: 1, or 0 to repeat the four equal bytes at x. */
void tf_put(struct tf_cursor *to, const int8_t *x, uint32_t step, uint32_t count);

/* The part of the plane that comes from the input. Everything else holds the zero point. */
struct tf_inner {
    const int8_t *from; /* channel 0 */
    int16_t *to;
    uint32_t rows, columns;
};

/* depth: of the input; pitch: of the plane. */
void tf_copy_inner(const struct tf_inner *inner, uint32_t channel, uint32_t depth, uint32_t row_bytes, uint32_t pitch);

static inline uint8_t *tf_scratch(const struct tf_net *net, const struct tf_record *record)
{
    return net->arena + ((const struct tf_wide_record *)record)->scratch;
}

#endif
