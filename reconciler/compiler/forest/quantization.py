# SPDX-License-Identifier: Apache-2.0
"""Quantizes tree ensembles: thresholds to a few bits, leaves to rows of int16."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit
from reconciler.compiler.forest.ensemble import LEAF, Ensemble, RawTree
from reconciler.compiler.pack.forest_head import DEPTH_UNIT, MAX_DEPTH, ForestMode
from reconciler.compiler.pack.forest_section import Forest, Leaf, Split, Tree

PROBABILITY_UNIT = 1 << 12
_INT16 = 32767


@dataclass(frozen=True, slots=True)
class ThresholdGrid:
    """Scales one feature to the grid of its thresholds: ((x - offset) * multiplier + half) >> shift."""

    offset: int
    multiplier: int
    shift: int

    def threshold(self, real: float, bits: int) -> int:
        """Return the grid threshold that splits nearest to the real one."""
        border = (math.floor(real) + 1 - self.offset) * self.multiplier / 2.0**self.shift
        step = border - 1 if self.shift == 0 else border - 0.5
        return min(max(round(step), 0), (1 << bits) - 1)

    def apply(self, raw: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
        """Scale raw features to the grid, as the device does."""
        difference = np.clip(raw - self.offset, -(1 << 31), (1 << 31) - 1)
        scaled = (difference * self.multiplier + ((1 << self.shift) >> 1)) >> self.shift
        return np.asarray(np.clip(scaled, 0, (1 << bits) - 1), np.int64)

    def max_raw(self, step: int) -> int:
        """Return the largest raw feature that is at or below a step of the grid."""
        half = (1 << self.shift) >> 1
        return self.offset + -(-(((step + 1) << self.shift) - half) // self.multiplier) - 1


def fit_grid(thresholds: Sequence[float], bits: int) -> ThresholdGrid:
    """Spread the bits over the range of a feature's thresholds; exact if there are enough of them."""
    if not thresholds:
        return ThresholdGrid(0, 0, 0)
    low, high = math.floor(min(thresholds)), math.floor(max(thresholds))
    span = high - low + 1
    if span < 1 << bits:
        return ThresholdGrid(low, 1, 0)
    shift = 22 + span.bit_length() - bits
    return ThresholdGrid(low, round((2**bits - 2) * 2.0**shift / span), shift)


@dataclass(frozen=True, slots=True)
class QuantizedForest:
    """A forest as packed, the grids of its features, and the same trees as arrays of integers."""

    forest: Forest
    grids: tuple[ThresholdGrid, ...]
    steps: Ensemble


def quantize_ensemble(
    ensemble: Ensemble, bits: int, *, grids: Sequence[ThresholdGrid] | None = None, jump_bits: int = 0
) -> QuantizedForest:
    """Quantize thresholds to the given grids, or the best ones, and leaves to a table of int16 rows."""
    thresholds_of: list[list[float]] = [[] for _ in range(ensemble.features)]
    for tree in ensemble.trees:
        for node in np.flatnonzero(tree.left != LEAF):
            thresholds_of[tree.feature[node]].append(float(tree.threshold[node]))
    chosen = tuple(grids or (fit_grid(thresholds, bits) for thresholds in thresholds_of))
    unit = DEPTH_UNIT if ensemble.mode is ForestMode.ISOLATION else _value_unit(ensemble)
    leaves = [np.rint(tree.value * unit).astype(np.int64) for tree in ensemble.trees]
    leaf_rows = np.concatenate([rows[tree.left == LEAF] for tree, rows in zip(ensemble.trees, leaves, strict=True)])
    if np.abs(leaf_rows).max() > _INT16:
        raise DoesNotFit(
            f"a leaf has the value {np.abs(leaf_rows).max() / unit}, which does not fit the 16 bits of a pack"
        )
    table = _table(leaf_rows)
    index = {tuple(row): number for number, row in enumerate(table.tolist())}
    steps = replace(
        ensemble,
        trees=tuple(
            replace(tree, threshold=_steps(tree, chosen, bits), value=rows.astype(np.float64))
            for tree, rows in zip(ensemble.trees, leaves, strict=True)
        ),
        depth_unit=float(DEPTH_UNIT),
    )
    trees = tuple(_convert(tree, index) for tree in steps.trees)
    forest = Forest(
        ensemble.mode, bits, trees, table.astype(np.int16), ensemble.features, jump_bits, ensemble.subsample
    )
    return QuantizedForest(forest, chosen, steps)


def _steps(tree: RawTree, grids: Sequence[ThresholdGrid], bits: int) -> npt.NDArray[np.float64]:
    pairs = zip(tree.feature.tolist(), tree.threshold.tolist(), tree.left.tolist(), strict=True)
    return np.array([0 if left == LEAF else grids[f].threshold(t, bits) for f, t, left in pairs], np.float64)


def _value_unit(ensemble: Ensemble) -> float:
    if ensemble.mode is ForestMode.CLASSIFICATION:
        return PROBABILITY_UNIT
    largest = max(float(np.abs(tree.value[tree.left == LEAF]).max()) for tree in ensemble.trees)
    return 2.0 ** math.floor(math.log2(_INT16 / largest)) if largest > 0 else 1.0


def _table(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the distinct rows, the most frequent first: the encoding may omit the index of row 0."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    if len(distinct) > 0xFFFF:  # noqa: PLR2004 - rows are counted in 16 bits
        raise DoesNotFit(
            f"the forest has {len(distinct)} different leaves; packs hold 65535: lower spec.train.maxDepth"
        )
    order = np.argsort(-counts, kind="stable")
    return np.asarray(distinct[order], np.int64)


def _convert(tree: RawTree, index: Mapping[tuple[int, ...], int]) -> Tree:
    """Convert the arrays of a tree to nodes, children first. No recursion: a file sets the depth."""
    made: dict[int, Tree] = {}
    for node in reversed(_reachable(tree)):
        if tree.left[node] == LEAF:
            made[node] = Leaf(index[tuple(tree.value[node].astype(np.int64).tolist())])
        else:
            left, right = made[int(tree.left[node])], made[int(tree.right[node])]
            made[node] = Split(int(tree.feature[node]), int(tree.threshold[node]), left, right)
    return made[0]


def _reachable(tree: RawTree) -> list[int]:
    order, pending = [], [(0, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise DoesNotFit(f"a tree is deeper than {MAX_DEPTH} levels: lower spec.train.maxDepth")
        order.append(node)
        if tree.left[node] != LEAF:
            pending += [(int(tree.left[node]), depth + 1), (int(tree.right[node]), depth + 1)]
    return order
