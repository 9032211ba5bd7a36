# SPDX-License-Identifier: Apache-2.0
"""The section LEARN (docs/specs/learning.md, section 1): what a device grows a forest of its own from."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.forest_head import ForestHead, ForestMode

LAYOUT = struct.Struct("<HHIHH")
ROWS_MAX = 4096
EVERY_MAX = 65535
SUBSAMPLE_MIN = 2
SUBSAMPLE_MAX = 256
PER_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class LearnRecipe:
    """How a device learns; the numbers of trees and of samples for each are those of the pack's own forest."""

    rows: int  # that are collected before the forest grows
    every: int  # one in this many windows is a row
    seed: int
    most_anomalous: int  # of 1,000 of these rows, as many may be anomalous to the grown forest


def encode_learn(recipe: LearnRecipe) -> bytes:
    """Write the section LEARN."""
    return LAYOUT.pack(recipe.rows, recipe.every, recipe.seed, recipe.most_anomalous, 0)


def decode_learn(data: bytes, forest: ForestHead, *, features: int, arena_bytes: int) -> LearnRecipe:
    """Read the section LEARN (rule 22)."""
    if len(data) != LAYOUT.size:
        raise PackMalformed(f"LEARN has {len(data)} bytes, not {LAYOUT.size}")
    rows, every, seed, most, zero = LAYOUT.unpack(data)
    if forest.mode is not ForestMode.ISOLATION or not SUBSAMPLE_MIN <= forest.subsample <= SUBSAMPLE_MAX:
        raise PackMalformed(
            f"LEARN needs an isolation forest with {SUBSAMPLE_MIN} to {SUBSAMPLE_MAX} samples for each tree"
        )
    if not forest.subsample <= rows <= ROWS_MAX or not every or not seed or most > PER_THOUSAND or zero:
        raise PackMalformed("LEARN has a field out of range")
    if arena_bytes < scratch_bytes(forest.subsample, features):
        raise PackMalformed("the arena is too small to grow a tree in")
    return LearnRecipe(rows, every, seed, most)


def scratch_bytes(subsample: int, features: int) -> int:
    """Return the working memory in which a tree grows."""
    return 2 * subsample * features
