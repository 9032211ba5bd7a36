/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mac.h"
#include "engine/plan.h"
#include "engine/recurrent/gate_functions.h"

/* Move the memory of a filter by one, with the newest value at its end; returns acc + the products with the weights over time. */
static uint32_t remember(int16_t *memory, const int16_t *time, uint32_t size, int32_t newest, uint32_t acc)
{
    for (; size > 1; size--, memory++) {
        memory[0] = memory[1];
        acc += (uint32_t)(memory[0] * *time++);
    }
    memory[0] = (int16_t)newest;
    return acc + (uint32_t)(newest * *time);
}

void tf_run_svdf(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_svdf_record *svdf = (const struct tf_svdf_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const uint32_t depth = x->dims[3], size = svdf->memory_size;
    const struct tf_scale scale = tf_scale_of(svdf->multipliers[0], svdf->shifts[0]);
    const struct tf_scale out_scale = tf_scale_of(svdf->multipliers[1], svdf->shifts[1]);
    const struct tf_clamp clamp = tf_clamp_of(record, y);
    const int8_t *from = tf_input(net, x), *w = tf_weights(net, svdf->weights);
    const int16_t *time = (const int16_t *)(const void *)tf_weights(net, svdf->time_weights);
    int16_t *memory = (int16_t *)(void *)tf_output(net, &net->tensors[svdf->memory]);
    int8_t *out = tf_output(net, y);
    uint32_t filter = 0;
    for (uint32_t unit = 0; unit < y->dims[3]; unit++) {
        uint32_t acc = (uint32_t)tf_number(tf_weights(net, svdf->bias), unit);
        for (const uint32_t end = filter + svdf->rank; filter < end; filter++) {
            const uint32_t sum = tf_mac(from, w, depth, (uint32_t)tf_number(tf_weights(net, svdf->feature_bias), filter));
            acc = remember(memory, time, size, tf_saturated(tf_requantize(&scale, sum), INT16_MAX), acc);
            w += depth;
            time += size;
            memory += size;
        }
        *out++ = tf_clamped(clamp, tf_requantize(&out_scale, acc));
    }
}
