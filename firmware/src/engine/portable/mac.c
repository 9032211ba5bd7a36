/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mac.h"

uint32_t tf_mac(const int8_t *x, const int8_t *w, uint32_t count, uint32_t acc)
{
    for (const int8_t *const end = x + count; x != end; x++, w++) {
        acc += (uint32_t)((int32_t)*x * *w);
    }
    return acc;
}
