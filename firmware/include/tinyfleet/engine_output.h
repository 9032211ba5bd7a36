/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outputs of the last inference, for tools, tests and gates that need more than the verdict. They are read from the
 * arena, so the next inference overwrites them.
 */
#ifndef TINYFLEET_ENGINE_OUTPUT_H
#define TINYFLEET_ENGINE_OUTPUT_H

#include "tinyfleet/engine.h"

/*
 * Copy up to capacity bytes of all outputs, concatenated. Returns their total size in bytes, or TF_ERR_PACK. The pack
 * must have passed check(), and verdict must be the result of the last run().
 */
TF_MUST_CHECK int tf_engine_outputs(const struct tf_pack *pack, const struct tf_arena *arena, const struct tf_verdict *verdict,
                                    uint8_t *bytes, uint32_t capacity);

#endif
