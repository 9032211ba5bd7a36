/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs a model. An engine serves one kind of pack (docs/specs/pack.md); the agent picks the engine by the kind in
 * the pack's header and hands it a view of the pack, which lies in flash and never moves while it is open.
 *
 * Call order: check once; then open; then golden and run any number of times. open may be called again for another
 * pack, which forgets the one before. All memory that an engine needs lies in the arena.
 */
#ifndef TINYFLEET_ENGINE_H
#define TINYFLEET_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tinyfleet/error.h"

/* A whole pack, its digest verified; data is a multiple of 4. */
struct tf_pack {
    const uint8_t *data;
    uint32_t size;
};

/* Memory for the open model, aligned to 8 bytes, owned by the caller of tf_agent_init(). */
struct tf_arena {
    uint8_t *data;
    uint32_t size;
};

/* Entries of the pack's parameter table at most, and so the length of the array that run is given. */
#define TF_PARAMETER_TABLE_MAX 16

/* What one inference said (pack.md, section 1: every inference ends in two numbers). */
struct tf_verdict {
    int32_t decision;
    int32_t score;
};

struct tf_engine {
    uint8_t kind;       /* of pack.md's header */
    uint32_t operators; /* bit i: operator number i of pack.md */
    /*
     * Everything about the pack that can be wrong (pack.md, section 9); the agent has checked rules 1, 2, 3 and 18 with
     * tf_pack_check() before. After it, nothing can make run leave the pack or the arena.
     */
    TF_MUST_CHECK int (*check)(const struct tf_pack *pack);
    /* Set up the arena for this pack. */
    TF_MUST_CHECK int (*open)(const struct tf_pack *pack, const struct tf_arena *arena);
    /* Run golden vector number index with the pack's defaults: TF_OK, TF_ERR_GOLDEN, or TF_END when there is none such. */
    TF_MUST_CHECK int (*golden)(const struct tf_pack *pack, const struct tf_arena *arena, uint32_t index);
    /*
     * One inference. parameters: the values in force, one for each entry of the pack's table. input: all inputs' bytes
     * one behind the other, aligned to 4. TF_ERR_INPUT when length is not what the model takes.
     */
    TF_MUST_CHECK int (*run)(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters,
                             const uint8_t *input, size_t length, struct tf_verdict *verdict);
};

/* Kind 0, built in: a weighted sum of an input window against a threshold. Enough to test a device with. */
extern const struct tf_engine tf_engine_threshold;

#endif
