/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that only move bytes: PAD and CONCATENATION. */
#include <string.h>

#include "engine/plan.h"

void tf_run_pad(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_pad_record *pad = (const struct tf_pad_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input], *y = &net->tensors[record->output];
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, y);
    memset(to, record->low, tf_elements(y));
    for (uint32_t n = 0; n < x->dims[0]; n++) {
        for (uint32_t h = 0; h < x->dims[1]; h++) {
            for (uint32_t w = 0; w < x->dims[2]; w++, from += x->dims[3]) {
                const uint32_t row = (pad->before[0] + n) * y->dims[1] + pad->before[1] + h;
                const uint32_t pixel = row * y->dims[2] + pad->before[2] + w;
                memcpy(to + pixel * y->dims[3] + pad->before[3], from, x->dims[3]);
            }
        }
    }
}

void tf_run_concatenation(const struct tf_net *net, const struct tf_record *record)
{
    const struct tf_concatenation_record *part = (const struct tf_concatenation_record *)record;
    const struct tf_tensor *x = &net->tensors[record->input];
    const int8_t *from = tf_input(net, x);
    int8_t *to = tf_output(net, &net->tensors[record->output]) + part->start;
    for (uint32_t i = 0; i < tf_elements(x) / part->block; i++) {
        memcpy(to + i * part->stride, from + i * part->block, part->block);
    }
}
