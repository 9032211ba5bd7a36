/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiply and accumulate over runs of int8, for layers in the plain form. dsp/ implements it for cores with dual 16-bit
 * multipliers, portable/ in plain C for all others. The build chooses one; the results are the same. Accumulators are
 * unsigned because the specification lets them wrap.
 */
#ifndef TF_ENGINE_MAC_H
#define TF_ENGINE_MAC_H

#include <stdint.h>

/* Inlined into their callers, loops over values would run out of registers. */
#define TF_ALONE __attribute__((noinline))

/* acc + the products of count values with their weights. */
TF_ALONE uint32_t tf_mac(const int8_t *x, const int8_t *w, uint32_t count, uint32_t acc);

#endif
