/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling and MEAN. Taps outside of the input do not count. */
#include "engine/plan.h"
#include "engine/kernel_window.h"

/* The part of a pooling window that is inside the input: its first tap, and how many taps from there. */
struct patch {
    const int8_t *x;
    uint32_t rows, columns, row_step, column_step;
};

static int32_t average(const struct patch *patch)
{
    int32_t sum = 0;
    const uint32_t count = patch->rows * patch->columns;
    for (uint32_t row = 0; row < patch->rows; row++) {
        const int8_t *x = patch->x + row * patch->row_step;
        for (uint32_t column = 0; column < patch->columns; column++) {
            sum += x[column * patch->column_step];
        }
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
        for (uint32_t column = 0; column < patch->columns; column++) {
            most = x[column * patch->column_step] > most ? x[column * patch->column_step] : most;
        }
    }
    return most;
}

/* All outputs of one image that see the same taps. */
static void run_region(const struct tf_axis axes[2], const struct tf_span spans[2], struct patch patch, bool averages,
                       struct tf_clamp clamp, int8_t *out)
{
    const uint32_t channels = patch.column_step;
    const int8_t *image = patch.x;
    for (uint32_t row = 0; row < spans[0].count; row++) {
        int8_t *to = out + ((spans[0].first + row) * axes[1].out + spans[1].first) * channels;
        const uint32_t y = tf_span_start(&axes[0], &spans[0]) + row * axes[0].stride;
        for (uint32_t column = 0; column < spans[1].count; column++) {
            const uint32_t x = tf_span_start(&axes[1], &spans[1]) + column * axes[1].stride;
            patch.x = image + y * patch.row_step + x * channels;
            for (uint32_t channel = 0; channel < channels; channel++, patch.x++) {
                *to++ = tf_clamped(clamp, averages ? average(&patch) : largest(&patch));
            }
        }
    }
}

static void run_pool(const struct tf_net *net, const struct tf_pool_record *pool, bool averages)
{
    const struct tf_tensor *x = &net->tensors[pool->head.input], *y = &net->tensors[pool->head.output];
    const struct tf_clamp clamp = {pool->head.low, pool->head.high, 0};
    const struct tf_axis axes[2] = {{x->dims[1], y->dims[1], pool->kernel[0], pool->stride[0], 1, pool->padding[0]},
                                    {x->dims[2], y->dims[2], pool->kernel[1], pool->stride[1], 1, pool->padding[1]}};
    struct patch patch = {.x = tf_input(net, x), .row_step = (uint32_t)x->dims[2] * x->dims[3], .column_step = x->dims[3]};
    int8_t *out = tf_output(net, y);
    struct tf_span spans[2];
    for (uint32_t images = y->dims[0]; images > 0; images--) {
        for (uint32_t row = 0; row < axes[0].out; row += spans[0].count) {
            spans[0] = tf_span_at(&axes[0], row);
            patch.rows = spans[0].end - spans[0].begin;
            for (uint32_t column = 0; column < axes[1].out; column += spans[1].count) {
                spans[1] = tf_span_at(&axes[1], column);
                patch.columns = spans[1].end - spans[1].begin;
                run_region(axes, spans, patch, averages, clamp, out);
            }
        }
        patch.x += axes[0].in * patch.row_step;
        out += axes[0].out * axes[1].out * patch.column_step;
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

/* Iterates over a box of elements, C fastest. */
struct box {
    uint32_t counts[4], steps[4], at[4];
    const int8_t *x;
};

/* Go to the next element. After the last one, go back to the first and return false. */
static bool advance(struct box *box)
{
    for (uint32_t axis = 4; axis-- > 0;) {
        box->x += box->steps[axis];
        box->at[axis]++;
        if (box->at[axis] < box->counts[axis]) {
            return true;
        }
        box->x -= box->steps[axis] * box->counts[axis];
        box->at[axis] = 0;
    }
    return false;
}

void tf_run_mean(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_mean_record *mean = (const struct tf_mean_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct tf_clamp clamp = tf_clamp_of(record, y);
    const struct tf_scale scale = tf_scale_of(mean->multiplier, mean->shift);
    struct box outputs = {.x = tf_input(net, x)}, under = {.x = NULL};
    int8_t *to = tf_output(net, y);
    uint32_t step = 1;
    for (uint32_t axis = 4; axis-- > 0; step *= x->dims[axis]) {
        outputs.steps[axis] = step;
        under.steps[axis] = step;
        outputs.counts[axis] = y->dims[axis];
        under.counts[axis] = (mean->axes >> axis & 1) != 0 ? x->dims[axis] : 1;
    }
    do {
        int32_t sum = 0;
        under.x = outputs.x;
        do {
            sum += *under.x - x->zero_point;
        } while (advance(&under));
        *to++ = tf_clamped(clamp, tf_requantize(&scale, (uint32_t)sum));
    } while (advance(&outputs));
}
