# SPDX-License-Identifier: Apache-2.0
"""One trial: trains a forest on the windows of a snapshot, and evaluates the pack on those that are held out.

What is evaluated is the pack itself, in the integers of a device. Runs only in the caged process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.forest.ensemble import Ensemble
from reconciler.compiler.forest.quantization import ThresholdGrid
from reconciler.compiler.forest.training import (
    BITS,
    FeatureExtractor,
    TrainedForest,
    fit_ensemble,
    pack_ensemble,
    statistic_of,
)
from reconciler.compiler.pack.features_section import Statistic
from reconciler.compiler.pack.forest_head import ForestMode
from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pack.isolation_score import isolation_limit, isolation_score
from reconciler.compiler.pool.forest_evaluation import ForestEvaluation, all_features
from reconciler.compiler.training.holdout import Holdout
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.snapshot import Snapshot
from reconciler.model import THRESHOLD, FeatureOf, Objective, TrainSpec
from reconciler.training.objective import TrialScore, best_threshold
from reconciler.training.trials import ForestSettings, Trial

Ints = npt.NDArray[np.int64]

# The thresholds that are tried: those that let this share of the normal training windows pass, and then some above the
# highest score of these, because windows that a forest has not seen score higher than those that it knows. Without an
# anomaly to find, the highest threshold would always raise the fewest alarms, so the highest known score is the limit.
SHARES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
HEADROOM = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the way from the highest score to 1
_DIGITS = 4


class ForestTrials:
    """Runs trials on one snapshot. Every feature of every window is computed once."""

    def __init__(self, snapshot: Snapshot, objective: Objective) -> None:
        layout = snapshot.layout
        if layout.element_type != ElementType.INT16:
            raise BuildFailed("the windows are int8, of a network, and a forest reads int16: set `method: keras`")
        self._layout = layout
        self._holdout = Holdout(snapshot, objective)
        self._features = all_features(snapshot.windows, layout.samples, layout.channels)

    def run(self, trial: Trial) -> TrialOutcome:
        """Train and evaluate one model."""
        settings, holdout = trial.made_of, self._holdout
        if not isinstance(settings, ForestSettings):
            raise TypeError("this trial trains a network")
        extractor = self._extractor(settings)
        raw = self._raw(extractor)
        train = TrainSpec(trial.method.value, settings.trees, settings.samples, trial.seed, settings.max_depth)
        labels = holdout.anomalous[holdout.trained].astype(np.float64)
        exact, grids = fit_ensemble(raw[holdout.trained], labels, train)
        fitted = _Fitted(exact, grids, extractor, BITS[settings.scheme])
        scores = self._scores(fitted, raw)
        best = best_threshold(scores)
        made = fitted.packed(best.threshold)
        figures = {"trees": len(exact.trees), "nodes": sum(len(tree.left) for tree in exact.trees)}
        return TrialOutcome(trial, best, made.data, figures)

    def _extractor(self, settings: ForestSettings) -> FeatureExtractor:
        layout = self._layout
        features = settings.features
        if not features:
            if layout.samples != 1:
                raise BuildFailed(f"a window has {layout.samples} samples: name `features` of it in the training")
            features = tuple(FeatureOf("value", channel) for channel in range(layout.channels))
        statistics = tuple(statistic_of(each, layout.channels) for each in features)
        return FeatureExtractor(layout.scale, layout.samples, layout.channels, statistics)

    def _raw(self, extractor: FeatureExtractor) -> Ints:
        columns = [channel * len(Statistic) + statistic for statistic, channel in extractor.statistics]
        return self._features[:, columns]

    def _scores(self, fitted: _Fitted, raw: Ints) -> list[TrialScore]:
        """Measure the model at each threshold. The sums are those of the pack, whatever its threshold."""
        data = fitted.packed(None).data
        sums = ForestEvaluation(data).sums(raw)
        holdout = self._holdout
        if fitted.exact.mode is ForestMode.CLASSIFICATION:
            return [holdout.score(None, np.asarray(sums.argmax(axis=1) != 0), len(data))]
        exact, normal = fitted.exact, sums[holdout.normal, 0]
        return [
            holdout.score(
                threshold,
                np.asarray(sums[:, 0] < isolation_limit(exact.subsample, len(exact.trees), threshold)),
                len(data),
            )
            for threshold in thresholds_for(exact, normal, above=holdout.has_anomalies)
        ]


@dataclass(frozen=True)
class _Fitted:
    exact: Ensemble
    grids: tuple[ThresholdGrid, ...]
    extractor: FeatureExtractor
    bits: int

    def packed(self, threshold: float | None) -> TrainedForest:
        parameters = {} if threshold is None else {THRESHOLD: threshold}
        return pack_ensemble(self.exact, self.grids, self.extractor, bits=self.bits, parameters=parameters)


def thresholds_for(forest: Ensemble, normal: Ints, *, above: bool) -> Sequence[float]:
    """Return the thresholds to try, from the sums of the normal windows that the forest was trained on."""
    found = np.sort([isolation_score(forest.subsample, len(forest.trees), float(total)) for total in normal])
    last = len(found) - 1
    highest = float(found[last])
    levels = [float(found[round(share * last)]) for share in SHARES]
    if above:
        levels += [highest + share * (1.0 - highest) for share in HEADROOM]
    return sorted({min(1.0, round(level, _DIGITS)) for level in levels})
