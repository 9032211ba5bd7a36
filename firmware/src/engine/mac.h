/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiply and accumulate over runs of int8: the loops in which a network's time goes. dsp/ has them for cores with
 * dual 16-bit multipliers, portable/ in plain C for all others; the build chooses, the numbers are the same.
 * Accumulators have no sign: they wrap, as the specification says.
 */
#ifndef TF_ENGINE_MAC_H
#define TF_ENGINE_MAC_H

#include <stdint.h>

/* Inlined into their callers, these loops would be short of registers. */
#define TF_ALONE __attribute__((noinline))

/* Runs of bytes that lie one behind the other in both the input and the weights. */
struct tf_runs {
    const int8_t *w;
    uint32_t length; /* bytes of a run; depthwise: taps */
    uint32_t count;
    uint32_t x_step; /* from a run's begin to the next one's */
    uint32_t w_step;
    uint32_t x_next; /* from one pixel to the other; depthwise: from tap to tap, in both */
    uint32_t w_next; /* from one output channel to the other */
};

/* One pixel, channel 0 and 1: the sums go on from start. x: the pixel's first tap. */
TF_ALONE void tf_mac_1x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[2]);

/* Two pixels; acc: pixel 0 channel 0 and 1, pixel 1 channel 0 and 1. */
TF_ALONE void tf_mac_2x2(const struct tf_runs *runs, const int8_t *x, const uint32_t start[2], uint32_t acc[4]);

/* Four channels that lie side by side, each with its own weights. */
TF_ALONE void tf_mac_depthwise(const struct tf_runs *runs, const int8_t *x, const uint32_t start[4], uint32_t acc[4]);

#endif
