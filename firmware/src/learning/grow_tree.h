/* SPDX-License-Identifier: Apache-2.0 */
/* Grows one isolation tree (docs/specs/learning.md, section 4). */
#ifndef TF_LEARNING_GROW_TREE_H
#define TF_LEARNING_GROW_TREE_H

#include "learning/forest_writer.h"
#include "learning/row_store.h"

#define TF_SUBSAMPLE_MAX 256u

/*
 * Draw a sample of the rows, of which `valid` are valid, and write a tree that isolates them. scratch has room for as many
 * rows as the sample has. The generator is carried on from tree to tree.
 */
void tf_grow_tree(const struct tf_hal *hal, const struct tf_rows *rows, uint32_t valid, const struct tf_forest_form *form,
                  uint16_t *scratch, uint32_t *random, struct tf_bit_writer *writer);

#endif
