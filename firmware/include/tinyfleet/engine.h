/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of engines, which run models. An engine runs one kind of pack (docs/specs/pack.md); the agent picks the
 * engine by the kind in the pack's header and passes it a view of the pack, which stays in flash and does not move while
 * it is open.
 *
 * Call order: check once, then open, then golden and run any number of times. Opening another pack replaces the one
 * before. All memory that an engine needs is in the arena.
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
    const uint8_t *grown; /* a checked section FOREST that decides in place of the pack's own, outside of golden vectors; or NULL */
};

/* Memory for the open model, aligned to 8 bytes, owned by the caller of tf_agent_init(). */
struct tf_arena {
    uint8_t *data;
    uint32_t size;
};

/* Most entries in a pack's parameter table, and so the length of the array that run() takes. */
#define TF_PARAMETER_TABLE_MAX 16

/* Most features of a model. */
#define TF_FEATURES_MAX 32

/* The result of one inference (pack.md, section 1: every inference gives two numbers). */
struct tf_verdict {
    int32_t decision;
    int32_t score;
};

struct tf_engine {
    uint8_t kind;       /* in the pack's header */
    uint32_t operators; /* bit i: the engine runs operator number i of pack.md */
    /*
     * Check the pack against the rules of pack.md, section 9; the agent has already checked rules 1, 2, 3 and 18 with
     * tf_pack_check(). Once this returns TF_OK, no input can make run() access memory outside the pack and the arena.
     */
    TF_MUST_CHECK int (*check)(const struct tf_pack *pack);
    /* Set up the arena for this pack. Calling it again sets the state of the model to its initial values. */
    TF_MUST_CHECK int (*open)(const struct tf_pack *pack, const struct tf_arena *arena);
    /*
     * Run golden vector number index with the default parameters: TF_OK, TF_ERR_GOLDEN, or TF_NO_MORE past the last one.
     * The state of the model has its initial values before and after.
     */
    TF_MUST_CHECK int (*golden)(const struct tf_pack *pack, const struct tf_arena *arena, uint32_t index);
    /*
     * One inference, which continues from the state that the one before has left. parameters: the values in force, one for each entry of the pack's table. input: the bytes of all
     * inputs, concatenated, aligned to 4. TF_ERR_INPUT: length is not what the model takes.
     */
    TF_MUST_CHECK int (*run)(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters,
                             const uint8_t *input, size_t length, struct tf_verdict *verdict);
    /*
     * The statistics of an input that run() has accepted, before they are scaled (pack.md, section 7.1). Returns how many.
     * raw has room for TF_FEATURES_MAX. NULL: the kind has no features.
     */
    TF_MUST_CHECK uint32_t (*features)(const struct tf_pack *pack, const uint8_t *input, int32_t *raw);
};

/* Kind 0, built in: compares a weighted sum of an input window with a threshold. Enough to test a device with. */
extern const struct tf_engine tf_engine_threshold;

#endif
