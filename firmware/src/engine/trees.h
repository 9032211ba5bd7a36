/* SPDX-License-Identifier: Apache-2.0 */
/* Section FOREST (docs/specs/pack.md, section 7.2): trees as a stream of bits, read in place. */
#ifndef TF_ENGINE_TREES_H
#define TF_ENGINE_TREES_H

#include <stdbool.h>

#include "tinyfleet/pack.h"

enum tf_forest_mode { TF_FOREST_ISOLATION = 0, TF_FOREST_CLASSIFICATION = 1, TF_FOREST_REGRESSION = 2 };

struct tf_forest_record {
    uint8_t mode, flags, threshold_bits, row_bits, jump_bits, deepest;
    uint16_t trees, outputs, rows, depth_unit, subsample;
    uint32_t stream_bits;
    int16_t table[];
} __attribute__((may_alias));

_Static_assert(sizeof(struct tf_forest_record) == 20, "as the specification has it");

struct tf_forest {
    const struct tf_forest_record *record;
    const uint8_t *stream;
    uint32_t feature_bits;
    uint32_t features;
};

TF_MUST_CHECK struct tf_forest tf_forest_view(const uint8_t *section, uint32_t features);

/* The part of rule 20 that concerns this section alone. */
TF_MUST_CHECK bool tf_check_forest(struct tf_section section, uint32_t features);

/* Evaluate all trees on the features y; sums has room for all outputs. */
void tf_forest_sum(const struct tf_forest *forest, const int32_t *y, int32_t *sums);

/* A field of up to 25 bits. The padding of the stream allows loading four bytes at any of its bits. */
static inline uint32_t tf_bits(const uint8_t *stream, uint32_t at, uint32_t width)
{
    uint32_t word;
    __builtin_memcpy(&word, stream + (at >> 3), sizeof word);
    return word >> (at & 7) & ((1u << width) - 1u);
}

#endif
