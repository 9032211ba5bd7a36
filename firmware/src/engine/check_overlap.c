/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan.h"

enum { ADD = 6, MUL = 7, QUANTIZE = 8, LOOKUP = 9 };
#define IN_PLACE (1u << ADD | 1u << MUL | 1u << QUANTIZE | 1u << LOOKUP)

bool tf_is_variable(const struct tf_net *net, uint32_t index)
{
    return index < net->tensor_count && (net->tensors[index].flags & TF_TENSOR_CONSTANT) == 0;
}

bool tf_is_apart_from(const struct tf_tensor *tensor, uint32_t begin, uint32_t end)
{
    return (tensor->flags & TF_TENSOR_CONSTANT) != 0 || tensor->offset + tf_elements(tensor) <= begin || end <= tensor->offset;
}

/* Rule 16, for one input. */
static bool is_apart(const struct tf_net *net, const struct tf_record *record, uint32_t input)
{
    const struct tf_tensor *x = &net->tensors[input], *y = &net->tensors[record->output];
    const uint32_t y_bytes = tf_elements(y);
    if (tf_is_apart_from(x, y->offset, y->offset + y_bytes)) {
        return true;
    }
    return x->offset == y->offset &&
           (record->number == TF_OPERATOR_SLICE || ((IN_PLACE >> record->number & 1) != 0 && tf_elements(x) == y_bytes));
}

bool tf_is_input(const struct tf_net *net, const struct tf_record *record, uint32_t input)
{
    return input < net->tensor_count && is_apart(net, record, input);
}
