/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/box.h"

#include <string.h>

void tf_box_start(struct tf_box *box, const struct tf_tensor *tensor, const struct tf_tensor *counts)
{
    uint32_t step = 1;
    memset(box, 0, sizeof *box);
    for (uint32_t axis = 4; axis-- > 0; step *= tensor->dims[axis]) {
        box->counts[axis] = counts->dims[axis];
        box->steps[axis] = tensor->dims[axis] == 1 ? 0 : step;
    }
}

bool tf_box_next(struct tf_box *box)
{
    for (uint32_t axis = 4; axis-- > 0;) {
        box->offset += box->steps[axis];
        box->at[axis]++;
        if (box->at[axis] < box->counts[axis]) {
            return true;
        }
        box->offset -= box->steps[axis] * box->counts[axis];
        box->at[axis] = 0;
    }
    return false;
}
