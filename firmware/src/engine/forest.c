/* SPDX-License-Identifier: Apache-2.0 */
#include "tinyfleet/engine_forest.h"

#include <string.h>

#include "engine/features.h"
#include "engine/io.h"
#include "engine/trees.h"

#define KIND 2
#define OPERATOR 16
#define ARENA_BYTES_AT 12 /* in the pack's header */

/* What an inference works on. The arena holds y, followed by the sums. */
struct parts {
    const struct tf_window_record *window;
    struct tf_forest forest;
    int32_t *y, *sums;
};

static struct parts parts_of(const struct tf_pack *pack, const struct tf_arena *arena)
{
    struct parts parts = {.window = (const void *)tf_pack_section(pack, TF_SECTION_FEATURES).data};
    parts.forest = tf_forest_view(tf_pack_section(pack, TF_SECTION_FOREST).data, parts.window->features);
    parts.y = (int32_t *)(void *)arena->data;
    parts.sums = parts.y + parts.window->features;
    return parts;
}

/* One int16 input [samples, channels], one int32 output: the decision and the sums. */
static bool check_io(const struct tf_pack *pack, const struct tf_window_record *window, uint32_t outputs)
{
    const struct tf_section io = tf_pack_section(pack, TF_SECTION_IO);
    struct tf_io_tensor input, output;
    uint32_t at = 4;
    return tf_io_tensor_read(io, &at, &input) == TF_OK && tf_io_tensor_read(io, &at, &output) == TF_OK && input.type == TF_INT16 &&
           input.rank == 2 && input.dims[0] == window->samples && input.dims[1] == window->channels && input.tensor == TF_NO_TENSOR &&
           output.type == TF_INT32 && output.rank == 1 && output.dims[0] == 1 + outputs && output.tensor == TF_NO_TENSOR;
}

static int check(const struct tf_pack *pack)
{
    const struct tf_section features = tf_pack_section(pack, TF_SECTION_FEATURES), trees = tf_pack_section(pack, TF_SECTION_FOREST);
    const struct tf_window_record *window = (const void *)features.data;
    const struct tf_forest_record *forest = (const void *)trees.data;
    struct tf_parameter_entry entry;
    struct tf_io io;
    if (tf_io_read(pack, &io) != TF_OK || io.inputs != 1 || io.count != 2 || !tf_check_features(features) ||
        !tf_check_forest(trees, window->features) || !check_io(pack, window, forest->outputs) ||
        (forest->mode == TF_FOREST_ISOLATION && tf_pack_parameter(pack, 0, &entry) != TF_OK) ||
        tf_load32(pack->data + ARENA_BYTES_AT) < 4u * ((uint32_t)window->features + forest->outputs)) {
        return TF_ERR_PACK;
    }
    return tf_check_golden(pack, &io) ? TF_OK : TF_ERR_PACK;
}

static int open_pack(const struct tf_pack *pack, const struct tf_arena *arena)
{
    (void)pack;
    (void)arena; /* every inference writes all of it before it reads it */
    return TF_OK;
}

static struct tf_verdict infer(const struct tf_pack *pack, const struct parts *parts, struct tf_samples samples, const int32_t *parameter)
{
    const struct tf_forest_record *record = parts->forest.record;
    struct tf_parameter_entry entry;
    tf_features(parts->window, samples, record->threshold_bits, parts->y);
    tf_forest_sum(&parts->forest, parts->y, parts->sums);
    struct tf_verdict verdict = {0, parts->sums[0]};
    if (record->mode == TF_FOREST_ISOLATION) {
        verdict.decision = parts->sums[0] < *parameter ? 1 : 0;
    } else if (record->mode == TF_FOREST_REGRESSION) {
        verdict.decision = tf_pack_parameter(pack, 0, &entry) == TF_OK && parts->sums[0] > *parameter ? 1 : 0;
    }
    for (int32_t k = 1; k < record->outputs; k++) { /* only classification has more than one */
        if (parts->sums[k] > verdict.score) {
            verdict = (struct tf_verdict){k, parts->sums[k]};
        }
    }
    return verdict;
}

static int golden(const struct tf_pack *pack, const struct tf_arena *arena, uint32_t index)
{
    const struct parts parts = parts_of(pack, arena);
    struct tf_parameter_entry entry = {0};
    struct tf_golden vector;
    int error = tf_golden_read(pack, index, &vector);
    if (error != TF_OK) {
        return error;
    }
    if (tf_pack_parameter(pack, 0, &entry) != TF_OK) {
        entry.preset = 0; /* the pack has no parameter: the mode does not use it */
    }
    const struct tf_samples samples = {vector.input, vector.seed};
    const struct tf_verdict verdict = infer(pack, &parts, samples, &entry.preset);
    return (uint32_t)verdict.decision == tf_load32(vector.wanted) &&
                   memcmp(parts.sums, vector.wanted + 4, 4u * parts.forest.record->outputs) == 0
               ? TF_OK
               : TF_ERR_GOLDEN;
}

static int run(const struct tf_pack *pack, const struct tf_arena *arena, const int32_t *parameters, const uint8_t *input, size_t length,
               struct tf_verdict *verdict)
{
    struct parts parts = parts_of(pack, arena);
    if (pack->grown != NULL) {
        parts.forest = tf_forest_view(pack->grown, parts.window->features);
    }
    if (length != 2u * parts.window->samples * parts.window->channels) {
        return TF_ERR_INPUT;
    }
    *verdict = infer(pack, &parts, (struct tf_samples){input, 0}, parameters);
    return TF_OK;
}

static uint32_t raw_features(const struct tf_pack *pack, const uint8_t *input, int32_t *raw)
{
    const struct tf_window_record *window = (const void *)tf_pack_section(pack, TF_SECTION_FEATURES).data;
    tf_features(window, (struct tf_samples){input, 0}, TF_RAW, raw);
    return window->features;
}

bool tf_forest_check(const uint8_t *section, uint32_t size, uint32_t features)
{
    return tf_check_forest((struct tf_section){section, size}, features);
}

int32_t tf_forest_score(const uint8_t *section, uint32_t features, const int32_t *y)
{
    const struct tf_forest forest = tf_forest_view(section, features);
    int32_t sum;
    tf_forest_sum(&forest, y, &sum);
    return sum;
}

const struct tf_engine tf_engine_forest = {
    .kind = KIND,
    .operators = 1u << OPERATOR,
    .check = check,
    .open = open_pack,
    .golden = golden,
    .run = run,
    .features = raw_features,
};
