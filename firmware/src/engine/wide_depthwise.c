/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEPTHWISE_CONV_2D in the wide form, one band of output rows and one channel at a time. The scratch holds the filter and
 * a plane of the input: the values that the band needs, widened, with the input's zero point around them.
 */
#include "engine/convolution.h"
#include "engine/scratch.h"
#include "engine/wide.h"

static void fill(int16_t *plane, uint32_t count, int32_t value)
{
    for (; count > 0; count--) {
        *plane++ = (int16_t)value;
    }
}

static struct tf_inner inner_of(const struct tf_convolution *layer, const struct tf_wide_plane *size, uint32_t row, int16_t *plane)
{
    const uint32_t top = row * layer->rows.stride, above = top < layer->rows.padding ? layer->rows.padding - top : 0;
    const uint32_t left = layer->columns.padding, first = top + above - layer->rows.padding;
    const uint32_t rows_left = layer->rows.in - first, room = size->rows > above ? size->rows - above : 0;
    const uint32_t width = size->width - left;
    return (struct tf_inner){
        .from = layer->image + first * layer->row_bytes,
        .to = plane + above * size->pitch + left,
        .rows = rows_left < room ? rows_left : room,
        .columns = layer->columns.in < width ? layer->columns.in : width,
    };
}

/* Copy a filter. Rows have an even number of taps: the last one may be 0. */
static void copy_filter(const struct tf_convolution *layer, uint32_t channel, int16_t *taps)
{
    const int8_t *w = layer->weights + channel;
    for (uint32_t row = layer->rows.taps; row > 0; row--) {
        for (uint32_t column = layer->columns.taps; column > 0; column--) {
            *taps++ = *w;
            w += layer->channels;
        }
        if ((layer->columns.taps & 1) != 0) {
            *taps++ = 0;
        }
    }
}

static void run_band(const struct tf_convolution *layer, const struct tf_wide_plane *size, uint32_t first, int16_t *scratch)
{
    int16_t *plane = scratch + size->taps;
    const struct tf_inner inner = inner_of(layer, size, first, plane);
    struct tf_filter filter = {
        .taps = scratch,
        .rows = layer->rows.taps,
        .columns = layer->columns.taps,
        .row_step = layer->rows.dilation * size->pitch,
        .along = {layer->columns.out, layer->columns.stride, layer->channels},
        .across = {size->band, layer->rows.stride * size->pitch, layer->columns.out * layer->channels},
        .zero = layer->clamp.zero,
    };
    if (filter.along.count < filter.across.count) { /* the loop over the longer line is the inner one */
        const struct tf_line columns = filter.along;
        filter.along = filter.across;
        filter.across = columns;
    }
    fill(plane, size->rows * size->pitch, layer->zero);
    for (uint32_t channel = 0; channel < layer->channels; channel++) {
        if (channel % layer->groups == 0) {
            tf_copy_inner(&inner, channel / layer->groups, layer->depth, layer->row_bytes, size->pitch);
        }
        copy_filter(layer, channel, scratch);
        filter.bias = (uint32_t)tf_number(layer->bias, channel);
        filter.multiplier = tf_number(layer->multipliers, channel);
        filter.right = (uint32_t)-layer->shifts[channel];
        tf_wide_channel(&filter, plane, layer->out + first * layer->columns.out * layer->channels + channel);
    }
}

void tf_run_wide_depthwise(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_convolution_record *conv = (const struct tf_convolution_record *)record;
    struct tf_convolution layer = tf_convolution_of(net, record);
    do {
        for (uint32_t row = 0; row < layer.rows.out; row += conv->band) {
            const uint32_t left = layer.rows.out - row;
            const struct tf_wide_plane size = tf_wide_plane(conv, left < conv->band ? left : conv->band, layer.columns.out);
            run_band(&layer, &size, row, (int16_t *)(void *)tf_scratch(net, record));
        }
    } while (tf_next_image(&layer));
    tf_clamp_all(net, record);
}
