/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind 1 of packs: quantized neural networks (docs/specs/pack.md, section 6). docs/engine.md says how fast and how large.
 * Inputs, tensors and outputs lie in the arena where the pack's plan has put them; weights are read in place from flash.
 */
#ifndef TINYFLEET_ENGINE_NETWORK_H
#define TINYFLEET_ENGINE_NETWORK_H

#include "tinyfleet/engine.h"

extern const struct tf_engine tf_engine_network;

#endif
