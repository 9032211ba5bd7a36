/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mac.h"
#include "engine/plan.h"

static void run_batch(const struct tf_net *net, const struct tf_dense_record *dense, const int8_t *x, int8_t *out)
{
    const struct tf_tensor *y = &net->tensors[dense->head.output];
    const uint32_t depth = net->tensors[dense->head.input].dims[3], channels = y->dims[3];
    const int8_t *bias = tf_weights(net, dense->arrays.bias), *shifts = tf_weights(net, dense->arrays.shifts);
    const int8_t *multipliers = tf_weights(net, dense->arrays.multipliers);
    const struct tf_clamp clamp = tf_clamp_of(&dense->head, y);
    struct tf_runs runs = {.w = tf_weights(net, dense->arrays.weights), .length = depth, .count = 1};
    for (uint32_t channel = 0, pair; channel < channels; channel += pair) {
        pair = channels - channel > 1 ? 2 : 1;
        const uint32_t start[2] = {(uint32_t)tf_number(bias, channel), (uint32_t)tf_number(bias, channel + pair - 1)};
        uint32_t acc[2];
        runs.w_next = (pair - 1) * depth;
        tf_mac_1x2(&runs, x, start, acc);
        for (uint32_t i = 0; i < pair; i++) {
            const uint32_t scale = dense->per_channel != 0 ? channel + i : 0;
            out[channel + i] = tf_clamped(clamp, tf_sr((int32_t)acc[i], tf_number(multipliers, scale), (uint32_t)shifts[scale]));
        }
        runs.w += pair * depth;
    }
}

void tf_run_dense(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    for (uint32_t batch = 0; batch < x->dims[2]; batch++) {
        run_batch(net, (const struct tf_dense_record *)record, from + batch * x->dims[3], to + batch * y->dims[3]);
    }
}
