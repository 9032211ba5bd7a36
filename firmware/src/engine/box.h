/* SPDX-License-Identifier: Apache-2.0 */
/* Iterates over a box of elements within a tensor, the last dimension fastest. */
#ifndef TF_ENGINE_BOX_H
#define TF_ENGINE_BOX_H

#include "engine/plan.h"

struct tf_box {
    uint32_t offset; /* of the element it is at */
    uint32_t at[4];
    uint32_t counts[4], steps[4];
};

/* Start at the first element of a tensor, for as many steps as another one has dimensions. A dimension of 1 is repeated. */
void tf_box_start(struct tf_box *box, const struct tf_tensor *tensor, const struct tf_tensor *counts);

/* Go to the next element. After the last one, go back to the first and return false. */
bool tf_box_next(struct tf_box *box);

#endif
