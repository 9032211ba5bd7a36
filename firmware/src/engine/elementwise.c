/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators: ADD and MUL with broadcasting, QUANTIZE, LOOKUP. All of them may write onto an input. */
#include "engine/box.h"

/* scale: of the output. inputs: the scales of both inputs for ADD, NULL for MUL. */
static void run_pairs(const struct tf_net *net, const struct tf_record *record, uint32_t second_input, const struct tf_scale *scale,
                      const struct tf_scale *inputs)
{
    const struct tf_tensor *y = &net->tensors[record->output];
    const struct tf_tensor *x1 = &net->tensors[record->input], *x2 = &net->tensors[second_input];
    const int8_t *first = tf_input(net, x1), *second = tf_input(net, x2);
    struct tf_box firsts, seconds; /* rows */
    const struct tf_clamp clamp = tf_clamp_of(record, y);
    int8_t *out = tf_output(net, y);
    tf_box_start(&firsts, x1, y);
    tf_box_start(&seconds, x2, y);
    firsts.counts[3] = seconds.counts[3] = 1;
    do {
        const int8_t *a = first + firsts.offset, *b = second + seconds.offset;
        for (uint32_t i = 0; i < y->dims[3]; i++, a += firsts.steps[3], b += seconds.steps[3]) {
            int32_t left = *a - x1->zero_point, right = *b - x2->zero_point;
            if (inputs != NULL) {
                left = tf_requantize(&inputs[0], (uint32_t)left << 20) + tf_requantize(&inputs[1], (uint32_t)right << 20);
            } else {
                left *= right;
            }
            *out++ = tf_clamped(clamp, tf_requantize(scale, (uint32_t)left));
        }
    } while (tf_box_next(&firsts) && tf_box_next(&seconds));
}

void tf_run_any_add(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_add_record *add = (const struct tf_add_record *)record;
    struct tf_scale scales[3];
    for (uint32_t i = 0; i < 3; i++) {
        scales[i] = tf_scale_of(add->multipliers[i], add->shifts[i]);
    }
    run_pairs(net, record, add->second, &scales[2], scales);
}

void tf_run_mul(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_mul_record *mul = (const struct tf_mul_record *)record;
    const struct tf_scale scale = tf_scale_of(mul->multiplier, mul->shift);
    run_pairs(net, record, mul->second, &scale, NULL);
}

void tf_run_quantize(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_quantize_record *quantize = (const struct tf_quantize_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const struct tf_clamp clamp = tf_clamp_of(record, y);
    const struct tf_scale scale = tf_scale_of(quantize->multiplier, quantize->shift);
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    for (uint32_t left = tf_elements(y); left > 0; left--) {
        *to++ = tf_clamped(clamp, tf_requantize(&scale, (uint32_t)(*from++ - x->zero_point)));
    }
}

void tf_run_lookup(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const int8_t *table = tf_weights(net, ((const struct tf_lookup_record *)record)->table);
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    for (uint32_t left = tf_elements(y); left > 0; left--) {
        *to++ = table[*from++ + 128];
    }
}
