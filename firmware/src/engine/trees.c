/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/trees.h"

#include <string.h>

struct tf_forest tf_forest_view(const uint8_t *section, uint32_t features)
{
    const struct tf_forest_record *record = (const struct tf_forest_record *)(const void *)section;
    const uint32_t table_bytes = (2u * record->rows * record->outputs + 3u) & ~3u;
    uint32_t feature_bits = 0;
    while ((features - 1) >> feature_bits != 0) {
        feature_bits++;
    }
    return (struct tf_forest){record, section + sizeof *record + table_bytes, feature_bits, features};
}

/* The length in bits of the leaf here, and its row. */
static uint32_t read_leaf(const struct tf_forest *forest, uint32_t at, uint32_t *row)
{
    const struct tf_forest_record *record = forest->record;
    *row = 0;
    if (record->flags == 0) {
        *row = tf_bits(forest->stream, at + 1, record->row_bits);
        return 1u + record->row_bits;
    }
    if (tf_bits(forest->stream, at + 1, 1) == 0) {
        return 2;
    }
    *row = tf_bits(forest->stream, at + 2, record->row_bits);
    return 2u + record->row_bits;
}

/* Skip this many complete nodes; returns where the stream continues. */
static uint32_t skip(const struct tf_forest *forest, uint32_t at, uint32_t nodes)
{
    const struct tf_forest_record *record = forest->record;
    const uint32_t split_bits = 1u + forest->feature_bits + record->threshold_bits;
    const uint32_t leaf_bits = 1u + record->row_bits + record->flags;
    while (nodes > 0) {
        const uint32_t kind = tf_bits(forest->stream, at, 2);
        if ((kind & 1) != 0) {
            at += split_bits;
            nodes++;
        } else {
            at += record->flags != 0 && kind == 0 ? 2 : leaf_bits;
            nodes--;
        }
    }
    return at;
}

/* Add the result of one tree; returns where the next one starts. */
static uint32_t walk(const struct tf_forest *forest, uint32_t at, const int32_t *y, int32_t *sums)
{
    const struct tf_forest_record *record = forest->record;
    const uint32_t jump_bits = record->jump_bits, field_bits = forest->feature_bits + record->threshold_bits;
    const uint32_t tree_end = at + jump_bits + (jump_bits > 0 ? tf_bits(forest->stream, at, jump_bits) : 0);
    uint32_t depth = 0, unread = 0, row; /* unread: right nodes of the splits where the path went left */
    for (at += jump_bits; tf_bits(forest->stream, at, 1) != 0; depth++) {
        const uint32_t fields = tf_bits(forest->stream, at + 1, field_bits);
        const int32_t threshold = (int32_t)(fields >> forest->feature_bits);
        const bool left = y[fields & ((1u << forest->feature_bits) - 1u)] <= threshold;
        at += 1 + field_bits;
        if (jump_bits > 0) {
            at += jump_bits + (left ? 0 : tf_bits(forest->stream, at, jump_bits));
        } else if (left) {
            unread++;
        } else {
            at = skip(forest, at, 1);
        }
    }
    at += read_leaf(forest, at, &row);
    for (uint32_t k = 0; k < record->outputs; k++) {
        sums[k] += (int32_t)(depth * record->depth_unit) + record->table[row * record->outputs + k];
    }
    return jump_bits > 0 ? tree_end : skip(forest, at, unread);
}

void tf_forest_sum(const struct tf_forest *forest, const int32_t *y, int32_t *sums)
{
    uint32_t at = 0;
    memset(sums, 0, sizeof *sums * forest->record->outputs);
    for (uint32_t tree = 0; tree < forest->record->trees; tree++) {
        at = walk(forest, at, y, sums);
    }
}

/* The position of the check in the stream, and the path from the root to it. */
struct cursor {
    const struct tf_forest *forest;
    uint32_t at;
    uint32_t depth;
    uint64_t rights;       /* bit d: the path goes right at depth d + 1 */
    uint32_t left_end[64]; /* by depth: where the left node must end */
};

/* Read a field of the stream; false at its end. */
static bool take(struct cursor *cursor, uint32_t width, uint32_t *value)
{
    const struct tf_forest *forest = cursor->forest;
    if (forest->record->stream_bits - cursor->at < width) {
        return false;
    }
    *value = tf_bits(forest->stream, cursor->at, width);
    cursor->at += width;
    return true;
}

static bool take_split(struct cursor *cursor)
{
    const struct tf_forest *forest = cursor->forest;
    uint32_t feature, threshold, length;
    if (cursor->depth >= forest->record->deepest || !take(cursor, forest->feature_bits, &feature) ||
        !take(cursor, forest->record->threshold_bits, &threshold) || !take(cursor, forest->record->jump_bits, &length) ||
        feature >= forest->features) {
        return false;
    }
    cursor->left_end[cursor->depth] = cursor->at + length;
    cursor->rights &= ~((uint64_t)1 << cursor->depth);
    cursor->depth++;
    return true;
}

/* After a leaf, go up to the next split whose right node is missing, and into it. False: the tree is complete, or *wrong. */
static bool turn_right(struct cursor *cursor, bool *wrong)
{
    while (cursor->depth > 0) {
        cursor->depth--;
        if ((cursor->rights >> cursor->depth & 1) == 0) {
            *wrong = cursor->forest->record->jump_bits > 0 && cursor->left_end[cursor->depth] != cursor->at;
            cursor->rights |= (uint64_t)1 << cursor->depth;
            cursor->depth++;
            return !*wrong;
        }
    }
    return false;
}

static bool take_leaf(struct cursor *cursor)
{
    const struct tf_forest_record *record = cursor->forest->record;
    uint32_t has_row = 1, row = 0;
    return (record->flags == 0 || take(cursor, 1, &has_row)) && (has_row == 0 || take(cursor, record->row_bits, &row)) &&
           row < record->rows;
}

static bool take_tree(struct cursor *cursor)
{
    uint32_t length, is_split;
    bool wrong = false;
    if (!take(cursor, cursor->forest->record->jump_bits, &length)) {
        return false;
    }
    const uint32_t end = cursor->at + length;
    cursor->depth = 0;
    for (bool more = true; more;) {
        if (!take(cursor, 1, &is_split) || (is_split != 0 ? !take_split(cursor) : !take_leaf(cursor))) {
            return false;
        }
        more = is_split != 0 || turn_right(cursor, &wrong);
    }
    return !wrong && (cursor->forest->record->jump_bits == 0 || cursor->at == end);
}

static bool are_fields_in_range(const struct tf_forest_record *record)
{
    const bool isolates = record->mode == TF_FOREST_ISOLATION;
    return record->mode <= TF_FOREST_REGRESSION && record->flags <= 1 && record->threshold_bits >= 4 && record->threshold_bits <= 16 &&
           record->row_bits <= 16 && (record->jump_bits == 0 || (record->jump_bits >= 8 && record->jump_bits <= 24)) &&
           record->deepest <= 63 && record->trees >= 1 && record->trees <= 1024 && record->outputs >= 1 && record->outputs <= 64 &&
           (record->outputs == 1 || record->mode == TF_FOREST_CLASSIFICATION) && record->rows >= 1 &&
           record->depth_unit == (isolates ? 2048 : 0) && (isolates || record->subsample == 0);
}

bool tf_check_forest(struct tf_section section, uint32_t features)
{
    const struct tf_forest_record *record = (const struct tf_forest_record *)(const void *)section.data;
    if (section.size < sizeof *record || !are_fields_in_range(record)) {
        return false;
    }
    const uint64_t table_bytes = ((uint64_t)2 * record->rows * record->outputs + 3) & ~(uint64_t)3;
    const uint64_t stream_bytes = (((uint64_t)record->stream_bits + 7) / 8 + 3 + 3) & ~(uint64_t)3;
    if (section.size != sizeof *record + table_bytes + stream_bytes) {
        return false;
    }
    const struct tf_forest forest = tf_forest_view(section.data, features);
    struct cursor cursor = {.forest = &forest};
    for (uint32_t tree = 0; tree < record->trees; tree++) {
        if (!take_tree(&cursor)) {
            return false;
        }
    }
    return cursor.at == record->stream_bits;
}
