/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that a forest is grown from, in the region `rows` of flash (docs/specs/learning.md, section 3): a head, then one
 * slot after the other. A power cut leaves at most one slot torn; it is skipped.
 */
#ifndef TF_LEARNING_ROW_STORE_H
#define TF_LEARNING_ROW_STORE_H

#include "store/flash.h"
#include "tinyfleet/config.h"
#include "tinyfleet/engine.h"

/* What rows and forest belong to. */
struct tf_lesson {
    uint32_t generation;
    const uint8_t *digest; /* of the pack; its first 16 bytes count */
};

/* Slots, in place. */
struct tf_rows {
    const uint8_t *slot;
    uint32_t stride; /* bytes of a slot */
    uint32_t features, slots;
};

/* View the slots in the first `bytes` of the region. */
TF_MUST_CHECK struct tf_rows tf_rows_view(const struct tf_hal *hal, uint32_t features, uint32_t bytes);

/* Copy the row in a slot; false when the slot has none. */
TF_MUST_CHECK bool tf_row_read(const struct tf_rows *rows, uint32_t slot, uint16_t *row);

/*
 * Given a view of the whole region: its bytes up to the end of the last slot that is not blank, and in *valid how many rows there are. 0: the
 * region belongs to another lesson.
 */
TF_MUST_CHECK uint32_t tf_rows_open(const struct tf_hal *hal, const struct tf_lesson *lesson, const struct tf_rows *rows, uint16_t *valid);

/* Write the head into the erased region. *bytes: the first ones of the region that are used. */
TF_MUST_CHECK int tf_rows_begin(const struct tf_hal *hal, const struct tf_lesson *lesson, uint32_t *bytes);

/*
 * Write a row behind those of the view of the first *bytes; y has a value of at most 16 bits for each feature. *bytes grows
 * even if that fails.
 */
TF_MUST_CHECK int tf_row_append(const struct tf_hal *hal, const struct tf_rows *rows, const int32_t *y, uint32_t *bytes);

#endif
