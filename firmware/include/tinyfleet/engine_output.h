/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outputs of the last inference, for who wants more than its verdict: tools, tests, a gateway's gate. They are read
 * where they lie in the arena, so the next inference overwrites them.
 */
#ifndef TINYFLEET_ENGINE_OUTPUT_H
#define TINYFLEET_ENGINE_OUTPUT_H

#include "tinyfleet/engine.h"

/*
 * Copy up to capacity bytes of all outputs, one behind the other; returns how many bytes they have, or TF_ERR_PACK. The
 * pack has been checked, and run has just given this verdict.
 */
TF_MUST_CHECK int tf_engine_outputs(const struct tf_pack *pack, const struct tf_arena *arena, const struct tf_verdict *verdict,
                                    uint8_t *bytes, uint32_t capacity);

#endif
