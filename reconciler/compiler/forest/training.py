# SPDX-License-Identifier: Apache-2.0
"""Trains forests. Runs only in the build subprocess; no other module imports scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reconciler.compiler.datasets import Dataset
from reconciler.compiler.errors import BuildFailed, DoesNotFit
from reconciler.compiler.forest.ensemble import LEAF, Ensemble, float_sums, from_classifier, from_isolation_forest
from reconciler.compiler.forest.forest_pack import assemble_forest
from reconciler.compiler.forest.quantization import QuantizedForest, ThresholdGrid, fit_grid, quantize_ensemble
from reconciler.compiler.pack.features_section import Feature, FeatureWindow, Statistic
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.isolation_score import average_path_length, isolation_limit
from reconciler.compiler.pack.tunable_parameters_section import Parameter, ParameterEncoding, name_hash
from reconciler.compiler.reference.forest import raw_features
from reconciler.model import FeatureOf, TrainSpec

BITS: Mapping[str, int] = {"int8": 8, "int16": 16}
JUMP_ABOVE_NODES = 600  # jumps pay off if the mean tree has more nodes than this
DEFAULT_THRESHOLD = 0.5  # that of scikit-learn for `contamination="auto"`
_GRID_BITS = 16
_INT16 = 32767
_STATISTICS = {statistic.name.lower().replace("_", "-"): statistic for statistic in Statistic}

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureExtractor:
    """Computes features from the rows of a dataset, in the integers of the device."""

    scale: float
    samples: int
    channels: int
    statistics: tuple[tuple[Statistic, int], ...]

    def integers(self, rows: Floats) -> Ints:
        """Return the rows as the device's int16 samples."""
        return np.asarray(np.clip(np.rint(rows / self.scale), -_INT16 - 1, _INT16), np.int64)

    def raw(self, rows: Floats) -> Ints:
        """Return the features of every row in their raw units."""
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
class TrainedForest:
    """The pack of a forest, and the exact forest that it is evaluated against."""

    data: bytes
    extractor: FeatureExtractor
    quantized: QuantizedForest
    exact: Ensemble
    exact_grids: tuple[ThresholdGrid, ...]
    threshold: float

    def device_sums(self, rows: Floats) -> Floats:
        """Return the sums that the device computes."""
        raw = self.extractor.raw(rows)
        bits = self.quantized.forest.threshold_bits
        y = np.stack([grid.apply(raw[:, i], bits) for i, grid in enumerate(self._grids())], axis=1)
        return float_sums(self.quantized.steps, y.astype(np.float64))

    def _grids(self) -> Sequence[ThresholdGrid]:
        return self.exact_grids if self.quantized.forest.threshold_bits == _GRID_BITS else self.quantized.grids

    def exact_sums(self, rows: Floats) -> Floats:
        """Return the sums of the ensemble before quantization, which equal those of scikit-learn."""
        raw = self.extractor.raw(rows)
        y = np.stack([grid.apply(raw[:, i], _GRID_BITS) for i, grid in enumerate(self.exact_grids)], axis=1)
        return float_sums(self.exact, y.astype(np.float64))

    def limit(self) -> int:
        """Return the integer threshold of an isolation forest."""
        return isolation_limit(self.exact.subsample, len(self.exact.trees), self.threshold)


def train_forest(dataset: Dataset, train: TrainSpec, *, scheme: str, parameters: Mapping[str, float]) -> TrainedForest:
    """Train the forest of a recipe on the device's integers, quantize it and pack it."""
    if scheme not in BITS:
        raise BuildFailed(f"the thresholds of a forest are int8 or int16, not {scheme}: change spec.quantize.scheme")
    extractor = _extractor(dataset, train)
    fitted = fit_ensemble(extractor.raw(dataset.rows), dataset.labels, train)
    return pack_ensemble(*fitted, extractor, bits=BITS[scheme], parameters=parameters)


def fit_ensemble(raw: Ints, labels: Floats | None, train: TrainSpec) -> tuple[Ensemble, tuple[ThresholdGrid, ...]]:
    """Train trees on raw features; return them with the 16-bit grids on which they compare."""
    grids = tuple(fit_grid([float(column.min()), float(column.max())], _GRID_BITS) for column in raw.T)
    y = np.stack([grid.apply(raw[:, i], _GRID_BITS) for i, grid in enumerate(grids)], axis=1)
    return _fit(y.astype(np.float64), labels, train), grids


def import_ensemble(exact: Ensemble, *, scheme: str, parameters: Mapping[str, float]) -> TrainedForest:
    """Pack trees from JSON, whose thresholds are in units of the device's int16 samples."""
    if scheme not in BITS:
        raise BuildFailed(f"the thresholds of a forest are int8 or int16, not {scheme}: change spec.quantize.scheme")
    if exact.features > 16:  # noqa: PLR2004 - channels of a pack
        raise DoesNotFit(f"the forest has {exact.features} features; a sample has at most 16 channels")
    grids = tuple(ThresholdGrid(-_INT16 - 1, 1, 0) for _ in range(exact.features))
    shifted = tuple(replace(tree, threshold=np.floor(tree.threshold) + _INT16 + 1) for tree in exact.trees)
    extractor = FeatureExtractor(
        1.0, 1, exact.features, tuple((Statistic.VALUE, channel) for channel in range(exact.features))
    )
    return pack_ensemble(replace(exact, trees=shifted), grids, extractor, bits=BITS[scheme], parameters=parameters)


def pack_ensemble(
    exact: Ensemble,
    grids: tuple[ThresholdGrid, ...],
    extractor: FeatureExtractor,
    *,
    bits: int,
    parameters: Mapping[str, float],
) -> TrainedForest:
    """Quantize and pack an ensemble whose inputs are on 16-bit grids."""
    jump_bits = _jump_bits_for(exact)
    if bits == _GRID_BITS:
        same = [ThresholdGrid(0, 1, 0)] * exact.features
        quantized, final = quantize_ensemble(exact, bits, grids=same, jump_bits=jump_bits), grids
    else:
        quantized = quantize_ensemble(_in_raw_units(exact, grids), bits, jump_bits=jump_bits)
        final = quantized.grids
    unknown = set(parameters) - {"threshold"}
    if unknown:
        raise BuildFailed(f"a forest takes the parameter `threshold`, not {', '.join(sorted(unknown))}")
    threshold = float(parameters.get("threshold", DEFAULT_THRESHOLD))
    features = tuple(
        Feature(statistic, channel, grid.shift, grid.offset, grid.multiplier)
        for (statistic, channel), grid in zip(extractor.statistics, final, strict=True)
    )
    window = FeatureWindow(extractor.samples, extractor.channels, features)
    entries = _parameters(exact, threshold)
    data = assemble_forest(quantized.forest, window, entries, scale=extractor.scale)
    return TrainedForest(data, extractor, quantized, exact, grids, threshold)


def _parameters(exact: Ensemble, threshold: float) -> list[Parameter]:
    if exact.mode is not ForestMode.ISOLATION:
        return []
    if not 0.0 < threshold <= 1.0:
        raise BuildFailed(f"the threshold of an isolation forest must be above 0 and at most 1, not {threshold}")
    limit = isolation_limit(exact.subsample, len(exact.trees), threshold)
    return [Parameter(name_hash("threshold"), limit, 0, (1 << 31) - 1, ParameterEncoding.ISOLATION_SCORE)]


def _extractor(dataset: Dataset, train: TrainSpec) -> FeatureExtractor:
    width = dataset.rows.shape[1]
    scale = _input_scale(dataset.rows)
    if not train.features:
        if not 1 <= width <= 16:  # noqa: PLR2004 - channels of a pack
            raise DoesNotFit(
                f"the data has {width} columns; a sample has at most 16 channels: "
                "name the features of a window in spec.train.features"
            )
        return FeatureExtractor(scale, 1, width, tuple((Statistic.VALUE, channel) for channel in range(width)))
    samples, rest = divmod(width, train.channels)
    if rest or not 2 <= samples <= 4096:  # noqa: PLR2004 - samples of a pack
        raise BuildFailed(f"the data has {width} columns, which is not 2 to 4096 samples of {train.channels} channels")
    return FeatureExtractor(
        scale, samples, train.channels, tuple(statistic_of(f, train.channels) for f in train.features)
    )


def statistic_of(feature: FeatureOf, channels: int) -> tuple[Statistic, int]:
    """Return a feature as a statistic and its channel."""
    if feature.statistic not in _STATISTICS or feature.channel >= channels:
        raise BuildFailed(
            f"unknown feature {feature.statistic} of channel {feature.channel}; the channels are 0 to {channels - 1}"
        )
    return _STATISTICS[feature.statistic], feature.channel


def _input_scale(rows: Floats) -> float:
    """Return 1 for integers that fit; otherwise a power of two that leaves a quarter of the range as headroom."""
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
        raise BuildFailed(f"{train.method} needs a column {train.label!r} with the class of each row")
    classes = labels.astype(np.int64)
    if (classes != labels).any() or classes.min() < 0 or set(classes) != set(range(classes.max() + 1)):
        raise BuildFailed(f"the column {train.label!r} must hold integers from 0, and each class at least once")
    kinds = {"random-forest": RandomForestClassifier, "extra-trees": ExtraTreesClassifier}
    model = kinds[train.method](n_estimators=train.trees, max_depth=train.max_depth, random_state=train.seed, n_jobs=1)
    return from_classifier(model.fit(y, classes))


def _in_raw_units(exact: Ensemble, grids: Sequence[ThresholdGrid]) -> Ensemble:
    """Return the same trees with thresholds on raw features instead of the 16-bit grids."""
    trees = []
    for tree in exact.trees:
        threshold = [
            0 if left == LEAF else grids[feature].max_raw(math.floor(step))
            for feature, step, left in zip(
                tree.feature.tolist(), tree.threshold.tolist(), tree.left.tolist(), strict=True
            )
        ]
        trees.append(replace(tree, threshold=np.array(threshold, np.float64)))
    return replace(exact, trees=tuple(trees))


def _jump_bits_for(exact: Ensemble) -> int:
    largest = max(len(tree.left) for tree in exact.trees)
    mean = sum(len(tree.left) for tree in exact.trees) / len(exact.trees)
    return max(8, (largest * 40).bit_length()) if mean > JUMP_ABOVE_NODES else 0


def anomaly_scores(trained: TrainedForest, sums: Floats) -> Floats:
    """Return scikit-learn's anomaly scores for the sums of an isolation forest; high is anomalous."""
    exact = trained.exact
    return np.asarray(2.0 ** (-sums[:, 0] / (len(exact.trees) * average_path_length(exact.subsample))), np.float64)
