/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

#define WORDS(record) (uint8_t)(sizeof(struct record) / 4)

const struct tf_operator tf_operators[TF_OPERATOR_ROWS] = {
    {WORDS(tf_convolution_record), WORDS(tf_wide_record), tf_check_conv, tf_run_conv},
    {WORDS(tf_convolution_record), WORDS(tf_wide_record), tf_check_depthwise, tf_run_depthwise},
    {WORDS(tf_dense_record), 0, tf_check_dense, tf_run_dense},
    {WORDS(tf_pool_record), 0, tf_check_pool, tf_run_average_pool},
    {WORDS(tf_pool_record), 0, tf_check_pool, tf_run_max_pool},
    {WORDS(tf_mean_record), 0, tf_check_mean, tf_run_mean},
    {WORDS(tf_add_record), 0, tf_check_add, tf_run_add},
    {WORDS(tf_mul_record), 0, tf_check_mul, tf_run_mul},
    {WORDS(tf_quantize_record), 0, tf_check_quantize, tf_run_quantize},
    {WORDS(tf_lookup_record), 0, tf_check_lookup, tf_run_lookup},
    {WORDS(tf_softmax_record), 0, tf_check_softmax, tf_run_softmax},
    {WORDS(tf_pad_record), 0, tf_check_pad, tf_run_pad},
    {WORDS(tf_strided_record), 0, tf_check_strided_copy, tf_run_strided_copy},
    {WORDS(tf_strided_record), 0, tf_check_strided_copy, tf_run_strided_copy},
#if TF_RECURRENT
    {WORDS(tf_svdf_record), 0, tf_check_svdf, tf_run_svdf},
    {WORDS(tf_lstm_record), 0, tf_check_lstm, tf_run_lstm},
#endif
};
