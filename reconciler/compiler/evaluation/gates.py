# SPDX-License-Identifier: Apache-2.0
"""The gates of one build: the limits of the device, the golden vectors, and the gates of the model.

Gates are checked in order, and the first that fails ends the build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.compiler.build_result import GateOutcome
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.errors import BuildGateFailed
from reconciler.compiler.evaluation.estimate_limits import ESTIMATE_OFF_PERCENT
from reconciler.compiler.evaluation.metrics import Predictions, measure
from reconciler.compiler.recipe import GateSpec

ESTIMATED = frozenset({"instructions", "inference_ms"})
Predict = Callable[[Dataset], Predictions]


@dataclass(slots=True)
class BuildGates:
    """Checks gates and keeps the outcome of each for the build report."""

    outcomes: list[GateOutcome] = field(default_factory=list)

    def check_limit(self, metric: str, value: float, limit: float, source: str) -> None:
        """Compare a figure with a limit of the device; `source` names what sets it."""
        self._record(metric, value, f"at most {limit:g}", passed=value <= limit, note=f" ({source})")

    def check_golden_vectors(self, passed: int, count: int) -> None:
        """Require that all golden vectors were reproduced."""
        self._record("golden_vectors", passed, f"all {count}", passed=passed == count, note="")

    def check(self, spec: GateSpec, value: float) -> None:
        """Compare a figure with a gate of the model."""
        limits, passed = [], True
        if spec.at_least is not None:
            limits.append(f"at least {spec.at_least:g}")
            passed &= value >= spec.at_least
        if spec.at_most is not None:
            limits.append(f"at most {spec.at_most:g}")
            passed &= value <= spec.at_most
        note = f" (an estimate, up to {ESTIMATE_OFF_PERCENT} % off)" if spec.metric in ESTIMATED else ""
        self._record(spec.metric, value, " and ".join(limits) + note, passed=passed, note="")

    def check_all(
        self, gates: Mapping[GateSpec, Dataset | None], predict: Predict, figures: Mapping[str, float]
    ) -> None:
        """Check the gates of a model: on figures that are known, or on its predictions for the gate's data."""
        predictions: dict[int, Predictions] = {}  # by the identity of the dataset: several gates may share one
        for spec, dataset in gates.items():
            if spec.metric in figures:
                self.check(spec, figures[spec.metric])
                continue
            if dataset is None:
                raise BuildGateFailed(f"the gate on {spec.metric} needs data: add `data` to it in the model's document")
            if id(dataset) not in predictions:
                predictions[id(dataset)] = predict(dataset)
            self.check(spec, measure(spec.metric, predictions[id(dataset)]))

    def _record(self, metric: str, value: float, limit: str, *, passed: bool, note: str) -> None:
        self.outcomes.append(GateOutcome(metric, value, limit, passed))
        if not passed:
            raise BuildGateFailed(f"{metric} is {value:g}, but must be {limit}{note}")
