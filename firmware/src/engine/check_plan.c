/* SPDX-License-Identifier: Apache-2.0 */
/* Rules 5 and 6 of docs/specs/pack.md, section 9. After these checks, no operator needs to check its accesses. */
#include "engine/plan.h"

#define RECORDS_MAX 4096
#define ELEMENTS_MAX (1u << 24)

enum { ADD = 6, MUL = 7 };
#define WITH_SECOND (1u << ADD | 1u << MUL)

static bool is_tensor(const struct tf_net *net, const struct tf_tensor *tensor)
{
    const bool constant = (tensor->flags & TF_TENSOR_CONSTANT) != 0;
    const uint32_t room = constant ? net->weights.size : net->arena_bytes;
    uint64_t elements = 1;
    for (uint32_t axis = 0; axis < 4; axis++) {
        elements *= tensor->dims[axis];
        if (elements == 0 || elements >= ELEMENTS_MAX) {
            return false;
        }
    }
    return tensor->flags <= TF_TENSOR_CONSTANT && tensor->zero == 0 && (constant || tensor->offset % 4 == 0) &&
           tensor->offset <= room && elements <= room - tensor->offset;
}

static bool check_record(const struct tf_net *net, const struct tf_record *record)
{
    if (!tf_is_variable(net, record->output) || record->low > record->high ||
        !tf_is_input(net, record, record->input)) {
        return false;
    }
    /* ADD and MUL have their second input at the same offset */
    if ((WITH_SECOND >> record->number & 1) != 0 && !tf_is_input(net, record, ((const struct tf_mul_record *)record)->second)) {
        return false;
    }
    return tf_operators[tf_operator_row(record->number)].check(net, record);
}

static bool has_words(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_operator *operator = &tf_operators[tf_operator_row(record->number)];
    return record->words == operator->words || (net->has_wide_forms && record->words != 0 && record->words == operator->wide_words);
}

int tf_check_plan(const struct tf_net *net)
{
    uint32_t at = 0, count = 0;
    for (uint32_t i = 0; i < net->tensor_count; i++) {
        if (!is_tensor(net, &net->tensors[i])) {
            return TF_ERR_PACK;
        }
    }
    for (; at < net->plan.size && count < RECORDS_MAX; count++) {
        const struct tf_record *record = (const struct tf_record *)(const void *)(net->plan.data + at);
        if (net->plan.size - at < sizeof *record) {
            return TF_ERR_PACK;
        }
        if (tf_operator_row(record->number) >= TF_OPERATOR_ROWS) {
            return TF_ERR_OPERATOR;
        }
        if (!has_words(net, record) || net->plan.size - at < 4u * record->words ||
            !check_record(net, record)) {
            return TF_ERR_PACK;
        }
        at += 4u * record->words;
    }
    return at == net->plan.size && count >= 1 ? TF_OK : TF_ERR_PACK;
}
