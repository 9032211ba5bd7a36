/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiply and accumulate over runs of int8: the loops in which a network spends its time. dsp/ implements them for cores
 * with dual 16-bit multipliers, portable/ in plain C for all others. The build chooses one; the results are the same.
 * Accumulators are unsigned because the specification lets them wrap.
 */
#ifndef TF_ENGINE_MAC_H
#define TF_ENGINE_MAC_H

#include <stdint.h>

/* Inlined into their callers, these loops would run out of registers. */
#define TF_ALONE __attribute__((noinline))

/* Runs of adjacent bytes, in the input and in the weights. */
struct tf_runs {
    const int8_t *w;
    uint32_t length; /* bytes of a run; depthwise: taps */
    uint32_t count;
    uint32_t x_step; /* from the start of one run to the next */
    uint32_t w_step;
    uint32_t x_next; /* from one pixel to the other; depthwise: from tap to tap, in input and weights */
    uint32_t w_next; /* from one output channel to the other */
};

/* One pixel, channels 0 and 1: acc = start + products. x: the first tap of the pixel. */
TF_ALONE void tf_mac_1x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[2]);

/* Two pixels. acc: pixel 0 channels 0 and 1, then pixel 1 channels 0 and 1. */
TF_ALONE void tf_mac_2x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[4]);

/* Four adjacent channels, each with its own weights. */
TF_ALONE void tf_mac_depthwise(const struct tf_runs *runs, const int8_t *x, const uint32_t start[4], uint32_t acc[4]);

#endif
