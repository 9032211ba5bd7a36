# SPDX-License-Identifier: Apache-2.0
"""Grows forests by a recipe. Only ever runs in the build subprocess; scikit-learn is imported here alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed, DoesNotFit
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.forest.ensemble import (
    LEAF,
    Ensemble,
    Grid,
    Quantized,
    float_sums,
    from_classifier,
    from_isolation_forest,
    grid_for,
    quantize,
)
from reconciler.compiler.forest.forest_pack import assemble_forest, average_path, isolation_limit
from reconciler.compiler.pack.forest_section import Feature, FeatureWindow, ForestMode, Statistic
from reconciler.compiler.pack.pack_format import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.reference.forest import raw_features
from reconciler.model import FeatureOf, TrainSpec

BITS: Mapping[str, int] = {"int8": 8, "int16": 16}
JUMP_ABOVE_NODES = 600  # a mean tree larger than this is worth its jumps
DEFAULT_THRESHOLD = 0.5  # scikit-learn's own border for `contamination="auto"`
_GRID_BITS = 16
_INT16 = 32767
_STATISTICS = {statistic.name.lower().replace("_", "-"): statistic for statistic in Statistic}

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sensing:
    """From rows of a table to the integers that a device sees and works with."""

    scale: float
    samples: int
    channels: int
    statistics: tuple[tuple[Statistic, int], ...]

    def integers(self, rows: Floats) -> Ints:
        """Return the rows as the device's int16 samples."""
        return np.asarray(np.clip(np.rint(rows / self.scale), -_INT16 - 1, _INT16), np.int64)

    def raw(self, rows: Floats) -> Ints:
        """Return every row's features in their raw units."""
        samples = self.integers(rows)
        if self.samples == 1:
            return samples[:, [channel for _, channel in self.statistics]]
        return np.array([self._raw_row(row.reshape(self.samples, self.channels)) for row in samples], np.int64)

    def _raw_row(self, window: Ints) -> list[int]:
        by_channel = {
            channel: raw_features([int(v) for v in window[:, channel]])
            for channel in {channel for _, channel in self.statistics}
        }
        return [by_channel[channel][statistic] for statistic, channel in self.statistics]


@dataclass(frozen=True, slots=True)
class GrownForest:
    """A forest's pack with what is needed to judge it."""

    data: bytes
    sensing: Sensing
    quantized: Quantized
    exact: Ensemble
    exact_grids: tuple[Grid, ...]
    threshold: float

    def device_sums(self, rows: Floats) -> Floats:
        """Return what the device sums up."""
        raw = self.sensing.raw(rows)
        bits = self.quantized.forest.threshold_bits
        y = np.stack([grid.apply(raw[:, i], bits) for i, grid in enumerate(self._grids())], axis=1)
        return float_sums(self.quantized.steps, y.astype(np.float64))

    def _grids(self) -> Sequence[Grid]:
        return self.exact_grids if self.quantized.forest.threshold_bits == _GRID_BITS else self.quantized.grids

    def exact_sums(self, rows: Floats) -> Floats:
        """Return what the unquantized ensemble sums up: scikit-learn's own numbers."""
        raw = self.sensing.raw(rows)
        y = np.stack([grid.apply(raw[:, i], _GRID_BITS) for i, grid in enumerate(self.exact_grids)], axis=1)
        return float_sums(self.exact, y.astype(np.float64))

    def limit(self) -> int:
        """Return the integer threshold of an isolation forest."""
        return isolation_limit(self.exact.subsample, len(self.exact.trees), self.threshold)


def grow(table: Dataset, train: TrainSpec, *, scheme: str, parameters: Mapping[str, float]) -> GrownForest:
    """Fit the recipe's forest on integers, bring it to few bits, and pack it."""
    if scheme not in BITS:
        raise BuildFailed(f"a forest's thresholds are int8 or int16, not {scheme}")
    sensing = _sensing(table, train)
    raw = sensing.raw(table.rows)
    grids = tuple(grid_for([float(column.min()), float(column.max())], _GRID_BITS) for column in raw.T)
    y = np.stack([grid.apply(raw[:, i], _GRID_BITS) for i, grid in enumerate(grids)], axis=1)
    exact = _fit(y.astype(np.float64), table.labels, train)
    return pack_ensemble(exact, grids, sensing, bits=BITS[scheme], parameters=parameters)


def grow_from(exact: Ensemble, *, scheme: str, parameters: Mapping[str, float]) -> GrownForest:
    """Pack trees that came as JSON: their thresholds are in units of the device's int16 samples."""
    if scheme not in BITS:
        raise BuildFailed(f"a forest's thresholds are int8 or int16, not {scheme}")
    if exact.features > 16:  # noqa: PLR2004 - channels of a pack
        raise DoesNotFit(f"{exact.features} features; a sample has at most 16 channels")
    grids = tuple(Grid(-_INT16 - 1, 1, 0) for _ in range(exact.features))
    shifted = tuple(replace(tree, threshold=np.floor(tree.threshold) + _INT16 + 1) for tree in exact.trees)
    sensing = Sensing(1.0, 1, exact.features, tuple((Statistic.VALUE, channel) for channel in range(exact.features)))
    return pack_ensemble(replace(exact, trees=shifted), grids, sensing, bits=BITS[scheme], parameters=parameters)


def pack_ensemble(
    exact: Ensemble, grids: tuple[Grid, ...], sensing: Sensing, *, bits: int, parameters: Mapping[str, float]
) -> GrownForest:
    """Quantize and pack an ensemble whose inputs are on 16-bit grids."""
    jump_bits = _jump_bits(exact)
    if bits == _GRID_BITS:
        same = [Grid(0, 1, 0)] * exact.features
        quantized, final = quantize(exact, bits, grids=same, jump_bits=jump_bits), grids
    else:
        quantized = quantize(_in_raw_units(exact, grids), bits, jump_bits=jump_bits)
        final = quantized.grids
    unknown = set(parameters) - {"threshold"}
    if unknown:
        raise BuildFailed(f"a forest has the parameter threshold, not {', '.join(sorted(unknown))}")
    threshold = float(parameters.get("threshold", DEFAULT_THRESHOLD))
    features = tuple(
        Feature(statistic, channel, grid.shift, grid.offset, grid.multiplier)
        for (statistic, channel), grid in zip(sensing.statistics, final, strict=True)
    )
    window = FeatureWindow(sensing.samples, sensing.channels, features)
    entries = _parameters(exact, threshold)
    data = assemble_forest(quantized.forest, window, entries, scale=sensing.scale)
    return GrownForest(data, sensing, quantized, exact, grids, threshold)


def _parameters(exact: Ensemble, threshold: float) -> list[Parameter]:
    if exact.mode is not ForestMode.ISOLATION:
        return []
    if not 0.0 < threshold <= 1.0:
        raise BuildFailed(f"the threshold of an isolation forest lies above 0 and at most at 1; {threshold} does not")
    limit = isolation_limit(exact.subsample, len(exact.trees), threshold)
    return [Parameter(name_hash("threshold"), limit, 0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)]


def _sensing(table: Dataset, train: TrainSpec) -> Sensing:
    width = table.rows.shape[1]
    scale = _input_scale(table.rows)
    if not train.features:
        if not 1 <= width <= 16:  # noqa: PLR2004 - channels of a pack
            raise DoesNotFit(f"{width} columns; a sample has at most 16 channels: name features of a window instead")
        return Sensing(scale, 1, width, tuple((Statistic.VALUE, channel) for channel in range(width)))
    samples, rest = divmod(width, train.channels)
    if rest or not 2 <= samples <= 4096:  # noqa: PLR2004 - samples of a pack
        raise BuildFailed(f"{width} columns are not whole samples of {train.channels} channels, 2 to 4096 of them")
    return Sensing(scale, samples, train.channels, tuple(_statistic(f, train.channels) for f in train.features))


def _statistic(feature: FeatureOf, channels: int) -> tuple[Statistic, int]:
    if feature.statistic not in _STATISTICS or feature.channel >= channels:
        raise BuildFailed(
            f"there is no {feature.statistic} of channel {feature.channel}; channels are 0 to {channels - 1}"
        )
    return _STATISTICS[feature.statistic], feature.channel


def _input_scale(rows: Floats) -> float:
    """1 for whole numbers that fit; else the power of two that leaves a quarter of the range spare."""
    largest = float(np.abs(rows).max())
    if largest <= _INT16 and (rows == np.rint(rows)).all():
        return 1.0
    return 2.0 ** -math.floor(math.log2(_INT16 / (1.25 * largest))) if largest else 1.0


def _fit(y: Floats, labels: Floats | None, train: TrainSpec) -> Ensemble:
    from sklearn.ensemble import ExtraTreesClassifier, IsolationForest, RandomForestClassifier  # noqa: PLC0415

    if train.method == "isolation-forest":
        samples = min(train.samples, len(y))
        forest: Any = IsolationForest(n_estimators=train.trees, max_samples=samples, random_state=train.seed, n_jobs=1)
        return from_isolation_forest(forest.fit(y))
    if labels is None:
        raise BuildFailed(f"{train.method} needs the column {train.label!r} with each row's class")
    classes = labels.astype(np.int64)
    if (classes != labels).any() or classes.min() < 0 or set(classes) != set(range(classes.max() + 1)):
        raise BuildFailed(f"the column {train.label!r} must hold whole numbers from 0, each class at least once")
    kinds = {"random-forest": RandomForestClassifier, "extra-trees": ExtraTreesClassifier}
    model = kinds[train.method](n_estimators=train.trees, max_depth=train.max_depth, random_state=train.seed, n_jobs=1)
    return from_classifier(model.fit(y, classes))


def _in_raw_units(exact: Ensemble, grids: Sequence[Grid]) -> Ensemble:
    """Undo the 16-bit grid: the same trees with thresholds on raw features."""
    trees = []
    for tree in exact.trees:
        threshold = [
            0 if left == LEAF else grids[feature].largest_raw(math.floor(step))
            for feature, step, left in zip(
                tree.feature.tolist(), tree.threshold.tolist(), tree.left.tolist(), strict=True
            )
        ]
        trees.append(replace(tree, threshold=np.array(threshold, np.float64)))
    return replace(exact, trees=tuple(trees))


def _jump_bits(exact: Ensemble) -> int:
    largest = max(len(tree.left) for tree in exact.trees)
    mean = sum(len(tree.left) for tree in exact.trees) / len(exact.trees)
    return max(8, (largest * 40).bit_length()) if mean > JUMP_ABOVE_NODES else 0


def score_of(grown: GrownForest, sums: Floats) -> Floats:
    """Return scikit-learn's anomaly score (high is anomalous) of an isolation forest's sums."""
    exact = grown.exact
    return np.asarray(2.0 ** (-sums[:, 0] / (len(exact.trees) * average_path(exact.subsample))), np.float64)
