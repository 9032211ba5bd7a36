/* SPDX-License-Identifier: Apache-2.0 */
/* Access to the inputs and outputs of a network where they are, in the arena: for callers that have no memory for a copy. */
#ifndef TINYFLEET_ENGINE_SPAN_H
#define TINYFLEET_ENGINE_SPAN_H

#include "tinyfleet/engine.h"

enum tf_side { TF_INPUTS, TF_OUTPUTS };

/*
 * Find the byte at this offset of all inputs or all outputs, one after the other without padding. *left: the bytes from
 * there to the end of that input or output. NULL behind the last one. An output that is not a tensor is in *verdict. The
 * pack is a network and has passed check(). Inputs are valid until run() or golden(), which takes input NULL for inputs
 * that are in place; outputs are valid until an input is written.
 */
TF_MUST_CHECK uint8_t *tf_engine_span(const struct tf_pack *pack, const struct tf_arena *arena, struct tf_verdict *verdict,
                                      enum tf_side side, uint32_t offset, uint32_t *left);

#endif
