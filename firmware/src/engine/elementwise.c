/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators: ADD and MUL with broadcasting, QUANTIZE, LOOKUP. All of them may write onto an input. */
#include "engine/plan.h"

/* One of the two inputs: the step to the next element in each dimension, 0 where it is broadcast. */
struct operand {
    const int8_t *x;
    uint32_t steps[4];
    int32_t zero;
};

static struct operand operand_of(const struct tf_net *net, uint32_t index)
{
    const struct tf_tensor *tensor = &net->tensors[index];
    struct operand operand = {.x = tf_input(net, tensor), .zero = tensor->zero_point};
    uint32_t step = 1;
    for (uint32_t axis = 4; axis-- > 0;) {
        operand.steps[axis] = tensor->dims[axis] == 1 ? 0 : step;
        step *= tensor->dims[axis];
    }
    return operand;
}

static const int8_t *row_of(const struct operand *operand, const uint32_t at[3])
{
    return operand->x + at[0] * operand->steps[0] + at[1] * operand->steps[1] + at[2] * operand->steps[2];
}

/* Go to the next row of the output; false after the last one. */
static bool next_row(const struct tf_tensor *y, uint32_t at[3])
{
    for (uint32_t axis = 3; axis-- > 0;) {
        if (++at[axis] < y->dims[axis]) {
            return true;
        }
        at[axis] = 0;
    }
    return false;
}

/* scale: of the output. inputs: the scales of both inputs for ADD, NULL for MUL. */
static void run_pairs(const struct tf_net *net, const struct tf_record *record, uint32_t second_input, const struct tf_scale *scale,
                      const struct tf_scale *inputs)
{
    const struct tf_tensor *y = &net->tensors[record->output];
    const struct operand first = operand_of(net, record->input), second = operand_of(net, second_input);
    const struct tf_clamp clamp = tf_clamp_of(record, y);
    int8_t *out = tf_output(net, y);
    uint32_t at[3] = {0, 0, 0};
    do {
        const int8_t *a = row_of(&first, at), *b = row_of(&second, at);
        for (uint32_t i = 0; i < y->dims[3]; i++, a += first.steps[3], b += second.steps[3]) {
            int32_t left = *a - first.zero, right = *b - second.zero;
            if (inputs != NULL) {
                left = tf_requantize(&inputs[0], (uint32_t)left << 20) + tf_requantize(&inputs[1], (uint32_t)right << 20);
            } else {
                left *= right;
            }
            *out++ = tf_clamped(clamp, tf_requantize(scale, (uint32_t)left));
        }
    } while (next_row(y, at));
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
