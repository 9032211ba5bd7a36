/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mac.h"

#include "simd.h"

uint32_t tf_mac(const int8_t *x, const int8_t *w, uint32_t count, uint32_t acc)
{
    for (; count >= 4; count -= 4, x += 4, w += 4) {
        const uint32_t xs = load(x), ws = load(w);
        acc = dual(even(xs), even(ws), acc);
        acc = dual(odd(xs), odd(ws), acc);
    }
    for (; count > 0; count--) {
        acc += (uint32_t)((int32_t)*x++ * *w++);
    }
    return acc;
}
