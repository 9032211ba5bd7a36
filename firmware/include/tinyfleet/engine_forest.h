/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind 2 of packs: tree ensembles over features of a window (docs/specs/pack.md, section 7). All arithmetic is
 * in integers, so every core gives the same numbers. Trees are read in place from flash.
 */
#ifndef TINYFLEET_ENGINE_FOREST_H
#define TINYFLEET_ENGINE_FOREST_H

#include "tinyfleet/engine.h"

extern const struct tf_engine tf_engine_forest;

/* A section FOREST outside of a pack (learning.h): the part of rule 20 of pack.md that concerns it alone. */
TF_MUST_CHECK bool tf_forest_check(const uint8_t *section, uint32_t size, uint32_t features);

/* The first sum of a checked section for the features y. */
TF_MUST_CHECK int32_t tf_forest_score(const uint8_t *section, uint32_t features, const int32_t *y);

#endif
