/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONV_2D in the wide form. The windows of three output pixels are gathered in the scratch, where their values are
 * widened once, and are then multiplied with all filters, two at a time. A tap outside of the input is gathered as the
 * input's zero point.
 */
#include "engine/convolution.h"
#include "engine/scratch.h"
#include "engine/wide.h"
#include "widen.h"

/* Gather the window of one output. x: the image, from the first channel of the group; depth: channels of the group. */
static void gather(const struct tf_convolution *layer, const int8_t *x, uint32_t depth, uint32_t pixel, uint8_t *to)
{
    const struct tf_axis *rows = &layer->rows, *columns = &layer->columns;
    const int8_t outside[4] = {(int8_t)layer->zero, (int8_t)layer->zero, (int8_t)layer->zero, (int8_t)layer->zero};
    const int32_t row = tf_window_start(rows, pixel / columns->out), column = tf_window_start(columns, pixel % columns->out);
    const struct tf_taps down = tf_taps_inside(rows, row), across = tf_taps_inside(columns, column);
    const uint32_t count = across.end - across.begin, step = columns->dilation * layer->depth;
    const uint32_t runs = columns->dilation == 1 && depth == layer->depth ? 1 : count;
    struct tf_cursor cursor = {to, 0};
    x += (uint32_t)(row + (int32_t)(down.begin * rows->dilation)) * layer->row_bytes;
    x += (uint32_t)(column + (int32_t)(across.begin * columns->dilation)) * layer->depth;
    for (uint32_t tap = 0; tap < rows->taps; tap++) {
        const bool is_inside = count > 0 && tap >= down.begin && tap < down.end;
        const uint32_t before = is_inside ? across.begin : columns->taps, after = is_inside ? columns->taps - across.end : 0;
        if (before > 0) {
            tf_put(&cursor, outside, 0, before * depth);
        }
        if (is_inside) {
            const int8_t *from = x;
            for (uint32_t left = runs; left > 0; left--, from += step) {
                tf_put(&cursor, from, 1, runs > 1 ? depth : count * depth);
            }
            x += rows->dilation * layer->row_bytes;
        }
        if (after > 0) {
            tf_put(&cursor, outside, 0, after * depth);
        }
        if (cursor.at != 0) { /* the weights of the rest of the quad are 0 */
            cursor.at = 0;
            cursor.quad += TF_QUAD_BYTES;
        }
    }
}

static void run_group(const struct tf_convolution *layer, const struct tf_channels *channels, uint32_t group, uint8_t *scratch)
{
    const uint32_t depth = layer->depth / layer->groups, pixels = layer->rows.out * layer->columns.out;
    const uint32_t together = pixels < TF_PIXELS ? 1 : TF_PIXELS, step = together > 1 ? layer->channels : 0;
    for (uint32_t first = 0; first < pixels; first += together) {
        /* the last ones may be computed again */
        const uint32_t pixel = pixels - first < together ? pixels - together : first;
        for (uint32_t i = 0; i < TF_PIXELS; i++) {
            gather(layer, layer->image + group * depth, depth, pixel + i % together, scratch + i * TF_PIXEL_BYTES);
        }
        tf_wide_pixels(channels, scratch, layer->out + pixel * layer->channels + group * channels->count, step);
    }
}

void tf_run_wide_conv(const struct tf_net *net, const struct tf_record *record)
{
    struct tf_convolution layer = tf_convolution_of(net, record);
    const uint32_t count = layer.channels / layer.groups;
    const uint32_t quads = tf_wide_quads((const struct tf_convolution_record *)record, layer.depth);
    do {
        struct tf_channels channels = {layer.weights, layer.bias, layer.multipliers, layer.shifts, count, quads, layer.clamp.zero};
        for (uint32_t group = 0; group < layer.groups; group++) {
            run_group(&layer, &channels, group, tf_scratch(net, record));
            channels.w += (count + 1) / 2 * quads * 8;
            channels.bias += 4 * count;
            channels.multipliers += 4 * count;
            channels.shifts += count;
        }
    } while (tf_next_image(&layer));
    tf_clamp_all(net, record);
}
