/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling and MEAN. Taps outside of the input do not count. */
#include "engine/box.h"
#include "engine/plan.h"
#include "engine/kernel_window.h"

/* The part of a pooling window that is inside the input: its first tap, and how many taps from there. */
struct patch {
    const int8_t *x;
    uint32_t rows, columns, row_step, column_step;
};

/* Kept alone so that the loop has all registers. */
__attribute__((noinline)) static int32_t sum_of(const int8_t *x, uint32_t count, uint32_t step)
{
    int32_t sum = 0;
    if (count % 2 != 0) {
        sum = *x;
        x += step;
    }
    for (count /= 2; count > 0; count--, x += 2 * step) {
        sum += x[0] + x[step];
    }
    return sum;
}

static int32_t average(const struct patch *patch)
{
    int32_t sum = 0;
    const uint32_t count = patch->rows * patch->columns;
    for (uint32_t row = 0; row < patch->rows; row++) {
        sum += sum_of(patch->x + row * patch->row_step, patch->columns, patch->column_step);
    }
    const uint32_t magnitude = sum < 0 ? 0u - (uint32_t)sum : (uint32_t)sum;
    const int32_t rounded = (int32_t)((magnitude + count / 2) / count);
    return sum < 0 ? -rounded : rounded;
}

static int32_t largest(const struct patch *patch)
{
    int32_t most = INT8_MIN;
    for (uint32_t row = 0; row < patch->rows; row++) {
        const int8_t *x = patch->x + row * patch->row_step;
        for (uint32_t left = patch->columns; left > 0; left--, x += patch->column_step) {
            most = *x > most ? *x : most;
        }
    }
    return most;
}

/* All channels of one output. patch: of the first channel. */
static void run_pixel(struct patch patch, uint32_t channels, bool averages, struct tf_clamp clamp, int8_t *out)
{
    if (patch.columns * patch.column_step == patch.row_step) { /* whole rows are one run */
        patch.columns *= patch.rows;
        patch.rows = 1;
    }
    for (uint32_t channel = 0; channel < channels; channel++, patch.x++) {
        *out++ = tf_clamped(clamp, averages ? average(&patch) : largest(&patch));
    }
}

static void run_pool(const struct tf_net *net, const struct tf_pool_record *pool, bool averages)
{
    const struct tf_tensor *x = &net->tensors[pool->head.input], *y = &net->tensors[pool->head.output];
    const struct tf_clamp clamp = {pool->head.low, pool->head.high, 0};
    const struct tf_axis rows = {x->dims[1], y->dims[1], pool->kernel[0], pool->stride[0], 1, pool->padding[0]};
    const struct tf_axis columns = {x->dims[2], y->dims[2], pool->kernel[1], pool->stride[1], 1, pool->padding[1]};
    const uint32_t channels = x->dims[3], row_step = columns.in * channels;
    const int8_t *image = tf_input(net, x);
    int8_t *out = tf_output(net, y);
    for (uint32_t images = y->dims[0]; images > 0; images--, image += rows.in * row_step) {
        for (uint32_t row = 0; row < rows.out; row++) {
            const int32_t top = tf_window_start(&rows, row);
            const struct tf_taps down = tf_taps_inside(&rows, top);
            for (uint32_t column = 0; column < columns.out; column++, out += channels) {
                const int32_t left = tf_window_start(&columns, column);
                const struct tf_taps across = tf_taps_inside(&columns, left);
                const uint32_t first_row = (uint32_t)top + down.begin, first_column = (uint32_t)left + across.begin;
                const struct patch patch = {image + first_row * row_step + first_column * channels, down.end - down.begin,
                                            across.end - across.begin, row_step, channels};
                run_pixel(patch, channels, averages, clamp, out);
            }
        }
    }
}

void tf_run_average_pool(const struct tf_net *net, const struct tf_record *record)
{
    run_pool(net, (const struct tf_pool_record *)record, true);
}

void tf_run_max_pool(const struct tf_net *net, const struct tf_record *record)
{
    run_pool(net, (const struct tf_pool_record *)record, false);
}

void tf_run_mean(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_mean_record *mean = (const struct tf_mean_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct tf_clamp clamp = tf_clamp_of(record, y);
    const struct tf_scale scale = tf_scale_of(mean->multiplier, mean->shift);
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    struct tf_box outputs, under; /* of an output: the elements that it is the mean of */
    tf_box_start(&outputs, x, y);
    tf_box_start(&under, x, x);
    for (uint32_t axis = 0; axis < 4; axis++) {
        under.counts[axis] /= y->dims[axis];
    }
    do {
        int32_t sum = 0;
        do {
            sum += from[outputs.offset + under.offset] - x->zero_point;
        } while (tf_box_next(&under));
        *to++ = tf_clamped(clamp, tf_requantize(&scale, (uint32_t)sum));
    } while (tf_box_next(&outputs));
}
