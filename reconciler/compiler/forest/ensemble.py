# SPDX-License-Identifier: Apache-2.0
"""Tree ensembles before quantization, from scikit-learn or from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import ModelUnreadable
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.isolation_score import average_path_length

LEAF = -1
MAX_NODES = 1 << 20


@dataclass(frozen=True, slots=True)
class RawTree:
    """One tree as arrays: node 0 is the root, the children of a leaf are -1, and `value` has one row per node."""

    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Trees whose leaves hold path corrections c(n), class probabilities, or values."""

    mode: ForestMode
    trees: tuple[RawTree, ...]
    features: int
    outputs: int
    subsample: int = 0
    depth_unit: float = 1.0


def from_isolation_forest(model: Any) -> Ensemble:  # noqa: ANN401 - scikit-learn has no types
    """Convert a fitted `IsolationForest`."""
    trees = []
    for estimator, features in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = estimator.tree_
        counts = [average_path_length(int(n)) for n in tree.n_node_samples]
        trees.append(_raw(tree, np.array(counts)[:, None], np.asarray(features)))
    return Ensemble(ForestMode.ISOLATION, tuple(trees), model.n_features_in_, 1, int(model.max_samples_))


def from_classifier(model: Any) -> Ensemble:  # noqa: ANN401 - as above
    """Convert a fitted random forest or extra trees classifier."""
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


def ensemble_from_json(data: bytes) -> Ensemble:
    """Read trees in JSON (docs/build.md). The file is not trusted."""
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
    if isolation:  # the value of a leaf is the number of training rows that reached it
        trees = tuple(
            replace(tree, value=np.array([[average_path_length(int(n))] for (n,) in tree.value])) for tree in trees
        )
    if not trees or not 1 <= features <= 32 or not 1 <= outputs <= 64 or (isolation and subsample < 2):  # noqa: PLR2004
        raise ModelUnreadable("the forest has no trees, or its features, outputs or subsample are out of range")
    if mode is not ForestMode.CLASSIFICATION and outputs != 1:
        raise ModelUnreadable(f"a forest for {mode.name.lower()} has one output, not {outputs}")
    return Ensemble(mode, trees, features, outputs, subsample if isolation else 0)


def _json_tree(raw: Mapping[str, Any], features: int, outputs: int) -> RawTree:
    count = len(raw["left"])
    if not 1 <= count <= MAX_NODES:
        raise ModelUnreadable(f"a tree has {count} nodes; it must have 1 to {MAX_NODES}")
    tree = RawTree(
        np.array(raw["feature"], np.int64),
        np.array(raw["threshold"], np.float64),
        np.array(raw["left"], np.int64),
        np.array(raw["right"], np.int64),
        np.array(raw["value"], np.float64).reshape(count, outputs),
    )
    if not all(len(column) == count for column in (tree.feature, tree.threshold, tree.left, tree.right)):
        raise ModelUnreadable("the columns of a tree differ in length")
    inner = tree.left != LEAF
    if (inner != (tree.right != LEAF)).any():
        raise ModelUnreadable("a node of a tree has only one child")
    own = np.arange(count)[inner]
    for children in (tree.left[inner], tree.right[inner]):
        if (children <= own).any() or (children >= count).any():
            raise ModelUnreadable("a node of a tree does not come after its parent, so there may be a cycle")
    children = np.concatenate([tree.left[inner], tree.right[inner]])
    if len(np.unique(children)) != len(children):
        raise ModelUnreadable("two nodes of a tree share a child")
    if ((tree.feature[inner] < 0) | (tree.feature[inner] >= features)).any() or not np.isfinite(tree.value).all():
        raise ModelUnreadable("a node of a tree uses a feature that does not exist, or has a value that is not finite")
    if not np.isfinite(tree.threshold[inner]).all():
        raise ModelUnreadable("a threshold of a tree is not finite")
    return tree


def float_sums(ensemble: Ensemble, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sum over the trees for each row: of depths and corrections, or of values."""
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
