/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and MEAN: taps outside of the input are left out. */
#include "engine_plan.h"
#include "engine_window.h"

/* What lies under a pool's window: the first tap inside, and how many from there. */
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

static void run_pool(const struct tf_net *net, const struct tf_pool_record *pool, bool averages)
{
    const struct tf_tensor *x = &net->tensors[pool->head.input], *y = &net->tensors[pool->head.output];
    const struct tf_ending ending = {pool->head.low, pool->head.high, 0};
    const uint32_t channels = x->dims[3], row_bytes = (uint32_t)x->dims[2] * channels;
    const int8_t *image = tf_input(net, x);
    int8_t *out = tf_output(net, y);
    struct patch patch = {.row_step = row_bytes, .column_step = channels};
    for (uint32_t rows = 0; rows < (uint32_t)y->dims[0] * y->dims[1]; rows++) {
        const uint32_t row = rows % y->dims[1];
        const int32_t top = (int32_t)(row * pool->stride[0]) - pool->padding[0];
        const struct tf_span high = tf_inside(top, pool->kernel[0], 1, x->dims[1]);
        const int8_t *first = image + (uint32_t)(top + (int32_t)high.begin) * row_bytes;
        patch.rows = high.end - high.begin;
        for (uint32_t column = 0; column < y->dims[2]; column++) {
            const int32_t left = (int32_t)(column * pool->stride[1]) - pool->padding[1];
            const struct tf_span wide = tf_inside(left, pool->kernel[1], 1, x->dims[2]);
            patch.columns = wide.end - wide.begin;
            patch.x = first + (uint32_t)(left + (int32_t)wide.begin) * channels;
            for (uint32_t channel = 0; channel < channels; channel++, patch.x++) {
                *out++ = tf_end(ending, averages ? average(&patch) : largest(&patch));
            }
        }
        image += row + 1 == y->dims[1] ? x->dims[1] * row_bytes : 0;
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

/* The sum of a box of elements. */
static int32_t sum_box(const int8_t *x, const uint32_t counts[4], const uint32_t steps[4])
{
    int32_t sum = 0;
    for (uint32_t n = 0; n < counts[0]; n++) {
        for (uint32_t h = 0; h < counts[1]; h++) {
            for (uint32_t w = 0; w < counts[2]; w++) {
                const int8_t *from = x + n * steps[0] + h * steps[1] + w * steps[2];
                for (uint32_t c = 0; c < counts[3]; c++) {
                    sum += from[c];
                }
            }
        }
    }
    return sum;
}

void tf_run_mean(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_mean_record *mean = (const struct tf_mean_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct tf_ending ending = tf_ending_of(record, y);
    const uint32_t steps[4] = {(uint32_t)x->dims[1] * x->dims[2] * x->dims[3], (uint32_t)x->dims[2] * x->dims[3], x->dims[3], 1};
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    uint32_t counts[4];
    for (uint32_t axis = 0; axis < 4; axis++) {
        counts[axis] = (mean->axes >> axis & 1) != 0 ? x->dims[axis] : 1;
    }
    const int32_t count = (int32_t)(counts[0] * counts[1] * counts[2] * counts[3]);
    for (uint32_t n = 0; n < y->dims[0]; n++) {
        for (uint32_t h = 0; h < y->dims[1]; h++) {
            for (uint32_t w = 0; w < y->dims[2]; w++) {
                const int8_t *first = from + n * steps[0] + h * steps[1] + w * steps[2];
                for (uint32_t c = 0; c < y->dims[3]; c++) {
                    const int32_t sum = sum_box(first + c, counts, steps) - count * x->zero_point;
                    *to++ = tf_end(ending, tf_mbqm(sum, mean->multiplier, mean->shift));
                }
            }
        }
    }
}
