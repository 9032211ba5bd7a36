/* SPDX-License-Identifier: Apache-2.0 */
/* Rule 24 of docs/specs/pack.md, section 9. */
#include "engine/plan.h"

#define CELL_BITS_MAX 6

/* A tensor that the operator keeps: in the arena, apart from the output, and of the right size. */
static bool is_kept(const struct tf_net *net, const struct tf_record *record, uint32_t index, uint64_t bytes)
{
    return tf_is_input(net, record, index) && (net->tensors[index].flags & TF_TENSOR_CONSTANT) == 0 && tf_elements(&net->tensors[index]) == bytes;
}

static bool are_rows(const struct tf_tensor *x, const struct tf_tensor *y)
{
    return x->dims[0] == 1 && x->dims[1] == 1 && y->dims[0] == 1 && y->dims[1] == 1 && x->dims[2] == y->dims[2];
}

bool tf_check_svdf(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_svdf_record *svdf = (const struct tf_svdf_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const uint64_t filters = (uint64_t)y->dims[3] * svdf->rank;
    return are_rows(x, y) && x->dims[2] == 1 && filters >= 1 && svdf->memory_size >= 1 &&
           is_kept(net, record, svdf->memory, 2 * filters * svdf->memory_size) && tf_is_array(net, svdf->weights, filters * x->dims[3]) &&
           tf_is_array(net, svdf->feature_bias, 4 * filters) && tf_is_array(net, svdf->time_weights, 2 * filters * svdf->memory_size) &&
           tf_is_array(net, svdf->bias, 4ull * y->dims[3]) && tf_is_mbqm(svdf->multipliers[0], svdf->shifts[0]) &&
           tf_is_mbqm(svdf->multipliers[1], svdf->shifts[1]);
}

bool tf_check_lstm(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_lstm_record *lstm = (const struct tf_lstm_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const uint64_t units = y->dims[3], rows = TF_LSTM_GATES * units;
    if (!are_rows(x, y) || lstm->clip > INT16_MAX || lstm->cell_bits > CELL_BITS_MAX || !is_kept(net, record, lstm->hidden, units) ||
        !is_kept(net, record, lstm->cell, 2 * units) || !tf_is_array(net, lstm->weights, rows * x->dims[3]) ||
        !tf_is_array(net, lstm->recurrent, rows * units) || !tf_is_array(net, lstm->bias, 4 * rows) ||
        !tf_is_array(net, lstm->recurrent_bias, 4 * rows) || !tf_is_array(net, lstm->multipliers, 4 * TF_LSTM_SCALES) ||
        !tf_is_array(net, lstm->shifts, TF_LSTM_SCALES)) {
        return false;
    }
    for (uint32_t i = 0; i < TF_LSTM_SCALES; i++) {
        if (!tf_is_mbqm(tf_number(tf_weights(net, lstm->multipliers), i), tf_weights(net, lstm->shifts)[i])) {
            return false;
        }
    }
    return true;
}
