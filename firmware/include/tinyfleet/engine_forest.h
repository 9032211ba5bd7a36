/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kind 2 of packs: tree ensembles over features of a window (docs/specs/pack.md, section 7). All arithmetic is
 * in integers, so every core gives the same numbers. Trees are read in place from flash.
 */
#ifndef TINYFLEET_ENGINE_FOREST_H
#define TINYFLEET_ENGINE_FOREST_H

#include "tinyfleet/engine.h"

extern const struct tf_engine tf_engine_forest;

#endif
