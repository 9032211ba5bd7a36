/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mac.h"
#include "engine/plan.h"
#include "engine/wide.h"

#define FOUR 4u /* channels whose weights the wide form interleaves */

/* The sums of up to four channels; returns how many: in the plain form one. */
static uint32_t multiply(const struct tf_dense_record *dense, const int8_t *w, const int8_t *x, uint32_t depth, uint32_t channels, uint32_t acc[FOUR])
{
    if ((dense->flags & TF_DENSE_WIDE) != 0) {
        tf_wide_four(w, x, depth / 4, acc);
        return channels < FOUR ? channels : FOUR;
    }
    acc[0] = tf_mac(x, w, depth, acc[0]);
    return 1;
}

static void run_batch(const struct tf_net *net, const struct tf_dense_record *dense, const int8_t *x, int8_t *out)
{
    const struct tf_tensor *y = &net->tensors[dense->head.output];
    const uint32_t depth = net->tensors[dense->head.input].dims[3], channels = y->dims[3];
    const int8_t *bias = tf_weights(net, dense->arrays.bias), *shifts = tf_weights(net, dense->arrays.shifts);
    const int8_t *multipliers = tf_weights(net, dense->arrays.multipliers), *w = tf_weights(net, dense->arrays.weights);
    const struct tf_clamp clamp = tf_clamp_of(&dense->head, y);
    const uint32_t per_channel = dense->flags & TF_DENSE_PER_CHANNEL;
    for (uint32_t channel = 0, count; channel < channels; channel += count) {
        uint32_t acc[FOUR];
        for (uint32_t i = 0; i < FOUR; i++) {
            acc[i] = (uint32_t)tf_number(bias, channel + i < channels ? channel + i : channel);
        }
        count = multiply(dense, w, x, depth, channels - channel, acc);
        w += ((dense->flags & TF_DENSE_WIDE) != 0 ? FOUR : count) * depth;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t scale = per_channel * (channel + i);
            out[channel + i] = tf_clamped(clamp, tf_sr((int32_t)acc[i], tf_number(multipliers, scale), (uint32_t)shifts[scale]));
        }
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
