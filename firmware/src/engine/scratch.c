/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/scratch.h"

#include "widen.h"

void tf_put(struct tf_cursor *to, const int8_t *x, uint32_t step, uint32_t count)
{
    uint8_t *quad = to->quad;
    uint32_t at = to->at;
    if (at == 0) {
        for (; count >= 4; count -= 4) {
            tf_put_quad(quad, x);
            quad += TF_QUAD_BYTES;
            x += 4 * step;
        }
    }
    for (; count > 0; count--) {
        tf_put_byte(quad, at, *x);
        x += step;
        at = (at + 1) & 3u;
        quad += at == 0 ? TF_QUAD_BYTES : 0;
    }
    to->quad = quad;
    to->at = at;
}

void tf_copy_inner(const struct tf_inner *inner, uint32_t channel, uint32_t depth, uint32_t row_bytes, uint32_t pitch)
{
    const int8_t *row = inner->from + channel;
    int16_t *to = inner->to;
    for (uint32_t rows = inner->rows; rows > 0; rows--) {
        const int8_t *from = row;
        for (const int16_t *const end = to + inner->columns; to != end; from += depth) {
            *to++ = *from;
        }
        to += pitch - inner->columns;
        row += row_bytes;
    }
}
