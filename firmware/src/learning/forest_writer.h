/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a section FOREST (docs/specs/pack.md, section 7.2) into erased flash, field by field. */
#ifndef TF_LEARNING_FOREST_WRITER_H
#define TF_LEARNING_FOREST_WRITER_H

#include "store/flash.h"
#include "tinyfleet/learning.h"

/* What a grown forest has in common with the forest of its pack, and what follows from that. */
struct tf_forest_form {
    uint32_t features, trees, subsample, threshold_bits;
    uint32_t feature_bits; /* of the number of a feature */
    uint32_t row_bits;     /* of the number of a leaf's row; also the depth of the deepest leaf */
    uint32_t front_bytes;  /* before the stream of bits; a multiple of every write size */
};

TF_MUST_CHECK struct tf_forest_form tf_forest_form(uint32_t features, const uint8_t *forest);

/* Start at an offset of the region; nothing is written beyond it. */
void tf_bits_begin(struct tf_bit_writer *writer, const struct tf_hal *hal, uint32_t offset);

/* Append the lowest bits of a value, whose others are zero; more than 32 bits append zeros. Errors are kept in the writer. */
void tf_bits_put(struct tf_bit_writer *writer, const struct tf_hal *hal, uint32_t value, uint32_t width);

/* After the last tree: pad the stream, and write what precedes it. Returns the length of the section. */
TF_MUST_CHECK uint32_t tf_forest_finish(struct tf_bit_writer *writer, const struct tf_hal *hal, const struct tf_forest_form *form);

#endif
