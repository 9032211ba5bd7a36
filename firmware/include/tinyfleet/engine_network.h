/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind 1 of packs: quantized neural networks (docs/specs/pack.md, section 6). docs/engine.md has its speed and size.
 * Inputs, tensors and outputs are in the arena, where the pack's plan puts them. Weights are read in place from flash.
 */
#ifndef TINYFLEET_ENGINE_NETWORK_H
#define TINYFLEET_ENGINE_NETWORK_H

#include "tinyfleet/engine.h"

extern const struct tf_engine tf_engine_network;

#endif
