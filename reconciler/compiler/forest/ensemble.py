# SPDX-License-Identifier: Apache-2.0
"""Tree ensembles before they are brought to few bits: from scikit-learn or from JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import DoesNotFit, ModelUnreadable
from reconciler.compiler.forest.forest_pack import average_path
from reconciler.compiler.pack.forest_section import DEEPEST, DEPTH_UNIT, Forest, ForestMode, Leaf, Split, Tree

LEAF = -1
MOST_NODES = 1 << 20
PROBABILITY_UNIT = 1 << 12
_INT16 = 32767


@dataclass(frozen=True, slots=True)
class RawTree:
    """One tree as arrays: node 0 is the root, children are -1 at leaves, `value` is one row a node."""

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees whose leaves hold path corrections c(n), class shares, or values."""

    mode: ForestMode
    trees: tuple[RawTree, ...]
    features: int
    outputs: int
    subsample: int = 0
    depth_unit: float = 1.0


def from_isolation_forest(model: Any) -> Ensemble:  # noqa: ANN401 - scikit-learn has no types
    """Take the trees of a fitted `IsolationForest`."""
    trees = []
    for estimator, features in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = estimator.tree_
        counts = [average_path(int(n)) for n in tree.n_node_samples]
        trees.append(_raw(tree, np.array(counts)[:, None], np.asarray(features)))
    return Ensemble(ForestMode.ISOLATION, tuple(trees), model.n_features_in_, 1, int(model.max_samples_))


def from_classifier(model: Any) -> Ensemble:  # noqa: ANN401 - as above
    """Take the trees of a fitted random forest or extra trees classifier."""
    trees = []
    for estimator in model.estimators_:
        shares = estimator.tree_.value[:, 0, :]
        trees.append(_raw(estimator.tree_, shares / shares.sum(axis=1, keepdims=True), None))
    return Ensemble(ForestMode.CLASSIFICATION, tuple(trees), model.n_features_in_, model.n_classes_)


def _raw(tree: Any, value: npt.NDArray[np.float64], columns: npt.NDArray[np.int64] | None) -> RawTree:  # noqa: ANN401
    feature = np.maximum(np.asarray(tree.feature, np.int64), 0)
    return RawTree(
        feature if columns is None else columns[feature],
        np.asarray(tree.threshold, np.float64),
        np.asarray(tree.children_left, np.int64),
        np.asarray(tree.children_right, np.int64),
        value,
    )


def from_json(data: bytes) -> Ensemble:
    """Read the interchange form (docs/build.md) and trust nothing in it."""
    try:
        document = json.loads(data)
        mode = ForestMode[str(document["mode"]).upper()]
        features, outputs = int(document["features"]), int(document.get("outputs", 1))
        subsample = int(document.get("subsample", 0))
        raw = document["trees"]
        if document.get("format") != "tinyfleet-forest/1" or not isinstance(raw, list):
            raise ModelUnreadable('the JSON is not a forest: "format" must be "tinyfleet-forest/1"')
        trees = tuple(_json_tree(tree, features, outputs) for tree in raw)
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError, OverflowError) as error:
        raise ModelUnreadable(f"the JSON is not a forest: {error!r}") from error
    isolation = mode is ForestMode.ISOLATION
    if isolation:  # a leaf's value is the number of rows that ended in it
        trees = tuple(replace(tree, value=np.array([[average_path(int(n))] for (n,) in tree.value])) for tree in trees)
    if not trees or not 1 <= features <= 32 or not 1 <= outputs <= 64 or (isolation and subsample < 2):  # noqa: PLR2004
        raise ModelUnreadable("the forest has no trees, or features, outputs or subsample out of range")
    if mode is not ForestMode.CLASSIFICATION and outputs != 1:
        raise ModelUnreadable(f"a forest for {mode.name.lower()} has one output, not {outputs}")
    return Ensemble(mode, trees, features, outputs, subsample if isolation else 0)


def _json_tree(raw: Mapping[str, Any], features: int, outputs: int) -> RawTree:
    count = len(raw["left"])
    if not 1 <= count <= MOST_NODES:
        raise ModelUnreadable(f"a tree of {count} nodes can't be")
    tree = RawTree(
        np.array(raw["feature"], np.int64),
        np.array(raw["threshold"], np.float64),
        np.array(raw["left"], np.int64),
        np.array(raw["right"], np.int64),
        np.array(raw["value"], np.float64).reshape(count, outputs),
    )
    if not all(len(column) == count for column in (tree.feature, tree.threshold, tree.left, tree.right)):
        raise ModelUnreadable("a tree's columns differ in length")
    inner = tree.left != LEAF
    if (inner != (tree.right != LEAF)).any():
        raise ModelUnreadable("a node has one child")
    own = np.arange(count)[inner]
    for children in (tree.left[inner], tree.right[inner]):
        if (children <= own).any() or (children >= count).any():
            raise ModelUnreadable("a child does not come after its parent: a cycle?")
    children = np.concatenate([tree.left[inner], tree.right[inner]])
    if len(np.unique(children)) != len(children):
        raise ModelUnreadable("two nodes share a child")
    if ((tree.feature[inner] < 0) | (tree.feature[inner] >= features)).any() or not np.isfinite(tree.value).all():
        raise ModelUnreadable("a node asks for a feature that is not there, or a value is not finite")
    if not np.isfinite(tree.threshold[inner]).all():
        raise ModelUnreadable("a threshold is not finite")
    return tree


# ---------------------------------------------------------------- walking, as the float model


def float_sums(ensemble: Ensemble, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what the ensemble sums up for each row: depths and corrections, or values."""
    total = np.zeros((len(x), ensemble.outputs))
    unit = ensemble.depth_unit if ensemble.mode is ForestMode.ISOLATION else 0.0
    rows = np.arange(len(x))
    for tree in ensemble.trees:
        node = np.zeros(len(x), np.int64)
        depth = np.zeros(len(x))
        while (inner := tree.left[node] != LEAF).any():
            goes_left = x[rows, tree.feature[node]] <= tree.threshold[node]
            node = np.where(inner, np.where(goes_left, tree.left[node], tree.right[node]), node)
            depth += inner
        total += tree.value[node] + unit * depth[:, None]
    return total


# ---------------------------------------------------------------- to few bits


@dataclass(frozen=True, slots=True)
class Grid:
    """How one feature's integers become the trees' inputs: ((x - offset) * multiplier + half) >> shift."""

    offset: int
    multiplier: int
    shift: int

    def threshold(self, real: float, bits: int) -> int:
        """Return the threshold on the grid whose border lies nearest to the real one."""
        border = (math.floor(real) + 1 - self.offset) * self.multiplier / 2.0**self.shift
        step = border - 1 if self.shift == 0 else border - 0.5
        return min(max(round(step), 0), (1 << bits) - 1)

    def apply(self, raw: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
        """Bring raw features to the grid, as the device does."""
        difference = np.clip(raw - self.offset, -(1 << 31), (1 << 31) - 1)
        scaled = (difference * self.multiplier + ((1 << self.shift) >> 1)) >> self.shift
        return np.asarray(np.clip(scaled, 0, (1 << bits) - 1), np.int64)

    def largest_raw(self, step: int) -> int:
        """Return the largest raw feature that lies at or below a step of the grid."""
        half = (1 << self.shift) >> 1
        return self.offset + -(-(((step + 1) << self.shift) - half) // self.multiplier) - 1


def grid_for(thresholds: Sequence[float], bits: int) -> Grid:
    """Spread the bits over the range in which a feature's thresholds lie; exact where they suffice."""
    if not thresholds:
        return Grid(0, 0, 0)
    low, high = math.floor(min(thresholds)), math.floor(max(thresholds))
    span = high - low + 1
    if span < 1 << bits:
        return Grid(low, 1, 0)
    shift = 22 + span.bit_length() - bits
    return Grid(low, round((2**bits - 2) * 2.0**shift / span), shift)


@dataclass(frozen=True, slots=True)
class Quantized:
    """A forest for a pack, the grids of its features, and the same trees as arrays of integers."""

    forest: Forest
    grids: tuple[Grid, ...]
    steps: Ensemble


def quantize(ensemble: Ensemble, bits: int, *, grids: Sequence[Grid] | None = None, jump_bits: int = 0) -> Quantized:
    """Bring thresholds to a grid (a given one, or the best) and leaves to a table of int16 rows."""
    used: list[list[float]] = [[] for _ in range(ensemble.features)]
    for tree in ensemble.trees:
        for node in np.flatnonzero(tree.left != LEAF):
            used[tree.feature[node]].append(float(tree.threshold[node]))
    chosen = tuple(grids or (grid_for(thresholds, bits) for thresholds in used))
    unit = DEPTH_UNIT if ensemble.mode is ForestMode.ISOLATION else _value_unit(ensemble)
    leaves = [np.rint(tree.value * unit).astype(np.int64) for tree in ensemble.trees]
    everything = np.concatenate([rows[tree.left == LEAF] for tree, rows in zip(ensemble.trees, leaves, strict=True)])
    if np.abs(everything).max() > _INT16:
        raise DoesNotFit(f"a leaf has the value {np.abs(everything).max() / unit}; packs hold 16 bits")
    table = _table(everything)
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
    return Quantized(forest, chosen, steps)


def _steps(tree: RawTree, grids: Sequence[Grid], bits: int) -> npt.NDArray[np.float64]:
    pairs = zip(tree.feature.tolist(), tree.threshold.tolist(), tree.left.tolist(), strict=True)
    return np.array([0 if left == LEAF else grids[f].threshold(t, bits) for f, t, left in pairs], np.float64)


def _value_unit(ensemble: Ensemble) -> float:
    if ensemble.mode is ForestMode.CLASSIFICATION:
        return PROBABILITY_UNIT
    largest = max(float(np.abs(tree.value[tree.left == LEAF]).max()) for tree in ensemble.trees)
    return 2.0 ** math.floor(math.log2(_INT16 / largest)) if largest > 0 else 1.0


def _table(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The distinct rows, the most frequent first: row 0 is the one that may be left out."""
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    if len(distinct) > 0xFFFF:  # noqa: PLR2004 - rows are counted in 16 bits
        raise DoesNotFit(f"{len(distinct)} different leaves; packs hold 65535: set maxDepth in the recipe")
    order = np.argsort(-counts, kind="stable")
    return np.asarray(distinct[order], np.int64)


def _convert(tree: RawTree, index: Mapping[tuple[int, ...], int]) -> Tree:
    """Turn one tree's arrays into nodes, children before parents: no recursion over a file's depth."""
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
        if depth > DEEPEST:
            raise DoesNotFit(f"a tree is deeper than {DEEPEST} levels: set maxDepth in the recipe")
        order.append(node)
        if tree.left[node] != LEAF:
            pending += [(int(tree.left[node]), depth + 1), (int(tree.right[node]), depth + 1)]
    return order
