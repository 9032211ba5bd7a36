/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move bytes: PAD, CONCATENATION and SLICE. */
#include <string.h>

#include "engine/box.h"

void tf_run_pad(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    struct tf_box rows; /* of the input, within the output */
    memset(to, record->low, tf_elements(y));
    tf_box_start(&rows, y, x);
    rows.counts[3] = 1;
    for (uint32_t axis = 0; axis < 4; axis++) {
        rows.offset += rows.steps[axis] * ((const struct tf_pad_record *)record)->before[axis];
    }
    do {
        memcpy(to + rows.offset, from, x->dims[3]);
        from += x->dims[3];
    } while (tf_box_next(&rows));
}

/* In ascending order: when a SLICE moves blocks down within one tensor, each is read before it is overwritten. */
void tf_run_strided_copy(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_strided_record *part = (const struct tf_strided_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const bool is_slice = record->number == TF_OPERATOR_SLICE;
    const int8_t *from = tf_input(net, x) + (is_slice ? part->start : 0);
    int8_t *to = tf_output(net, y) + (is_slice ? 0 : part->start);
    for (uint32_t left = tf_elements(is_slice ? y : x); left > 0; left -= part->block) {
        memmove(to, from, part->block);
        from += is_slice ? part->stride : part->block;
        to += is_slice ? part->block : part->stride;
    }
}
