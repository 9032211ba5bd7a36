/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/mac.h"

static inline uint32_t product(int8_t x, int8_t w)
{
    return (uint32_t)((int32_t)x * w);
}

void tf_mac_1x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[2])
{
    uint32_t a = start[0], b = start[1];
    for (uint32_t run = 0; run < runs->count; run++) {
        const int8_t *at = x + run * runs->x_step;
        const int8_t *w0 = runs->w + run * runs->w_step;
        const int8_t *w1 = w0 + runs->w_next;
        for (const int8_t *end = at + runs->length; at != end; at++) {
            a += product(*at, *w0++);
            b += product(*at, *w1++);
        }
    }
    acc[0] = a;
    acc[1] = b;
}

void tf_mac_2x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[4])
{
    uint32_t a = start[0], b = start[1], c = start[0], d = start[1];
    for (uint32_t run = 0; run < runs->count; run++) {
        const int8_t *x0 = x + run * runs->x_step;
        const int8_t *x1 = x0 + runs->x_next;
        const int8_t *w0 = runs->w + run * runs->w_step;
        const int8_t *w1 = w0 + runs->w_next;
        for (const int8_t *end = x0 + runs->length; x0 != end; x0++, x1++, w0++, w1++) {
            a += product(*x0, *w0);
            b += product(*x0, *w1);
            c += product(*x1, *w0);
            d += product(*x1, *w1);
        }
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}

void tf_mac_depthwise(const struct tf_runs *runs, const int8_t *x, const uint32_t start[4], uint32_t acc[4])
{
    uint32_t a = start[0], b = start[1], c = start[2], d = start[3];
    for (uint32_t run = 0; run < runs->count; run++) {
        const int8_t *at = x + run * runs->x_step;
        const int8_t *w = runs->w + run * runs->w_step;
        for (uint32_t tap = 0; tap < runs->length; tap++) {
            a += product(at[0], w[0]);
            b += product(at[1], w[1]);
            c += product(at[2], w[2]);
            d += product(at[3], w[3]);
            at += runs->x_next;
            w += runs->x_next;
        }
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}
