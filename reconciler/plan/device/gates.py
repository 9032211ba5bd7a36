# SPDX-License-Identifier: Apache-2.0
"""The health gates of a rollout, evaluated on what a device has counted.

A gate that cannot be evaluated is not passed: a wave never opens on missing evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import Counts, DeviceHealth, HealthGate, HealthMetric, Scores

COUNTERS = frozenset({HealthMetric.FAULTS, HealthMetric.RESETS})  # they only grow, so too many fail a gate at once


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of all gates for one device; if both fields are empty, it has passed them all."""

    failed: str = ""  # which gate failed, and how
    pending: str = ""  # which gate cannot be evaluated yet, and why


PASSED = GateResult()


def evaluate_gates(gates: Sequence[HealthGate], health: DeviceHealth | None) -> GateResult:
    """Evaluate all gates: report the first that fails, else the first that cannot be evaluated yet."""
    if not gates:
        return PASSED
    if health is None:
        return GateResult(pending="the device has reported no counters")
    results = [_evaluate_gate(gate, health) for gate in gates]
    failed = next((result for result in results if result.failed), None)
    return failed or next((result for result in results if result.pending), PASSED)


def _evaluate_gate(gate: HealthGate, health: DeviceHealth) -> GateResult:
    value = MEASURES[gate.metric](health)
    early = health.now.inferences < gate.min_inferences
    if early and not (gate.metric in COUNTERS and value is not None and _is_above(gate, value)):
        return GateResult(pending=f"{gate.metric.value} is evaluated after {gate.min_inferences:,} inferences")
    if value is None:
        return GateResult(pending=f"{gate.metric.value} has no data")
    if _is_above(gate, value):
        return GateResult(failed=f"{gate.metric.value} is {value:.4g}, above the maximum of {gate.at_most:.4g}")
    if gate.at_least is not None and value < gate.at_least:
        return GateResult(failed=f"{gate.metric.value} is {value:.4g}, below the minimum of {gate.at_least:.4g}")
    return PASSED


def _is_above(gate: HealthGate, value: float) -> bool:
    return gate.at_most is not None and value > gate.at_most


def _anomaly_rate(health: DeviceHealth) -> float | None:
    return _share(health.now)


def _anomaly_rate_change(health: DeviceHealth) -> float | None:
    now, before = _share(health.now), _share(health.before)
    return None if now is None or before is None else now - before


def _inference_rate_ratio(health: DeviceHealth) -> float | None:
    now, before = _rate(health.now), _rate(health.before)
    return None if now is None or not before else now / before


def _score_distance(health: DeviceHealth) -> float | None:
    """Return the total variation distance of the two histograms: 0 for equal ones, 1 for disjoint ones."""
    now, before = _scores(health.now), _scores(health.before)
    if now is None or before is None or len(now.histogram) != len(before.histogram):
        return None
    total, total_before = sum(now.histogram), sum(before.histogram)
    if not total or not total_before:
        return None
    bins = zip(now.histogram, before.histogram, strict=True)
    return sum(abs(count / total - count_before / total_before) for count, count_before in bins) / 2


def _score_mean_shift(health: DeviceHealth) -> float | None:
    """Return how far the mean moved, as a share of the earlier spread of the scores."""
    now, before = _scores(health.now), _scores(health.before)
    if now is None or before is None:
        return None
    return abs(now.mean - before.mean) / max(1, before.max - before.min)


def _share(counts: Counts | None) -> float | None:
    return counts.anomalies / counts.inferences if counts is not None and counts.inferences else None


def _rate(counts: Counts | None) -> float | None:
    return counts.inferences / counts.seconds if counts is not None and counts.seconds > 0 else None


def _scores(counts: Counts | None) -> Scores | None:
    return counts.scores if counts is not None and counts.scores is not None and counts.scores.count else None


MEASURES: Mapping[HealthMetric, Callable[[DeviceHealth], float | None]] = {
    HealthMetric.FAULTS: lambda health: health.now.faults,
    HealthMetric.RESETS: lambda health: health.now.resets,
    HealthMetric.ANOMALY_RATE: _anomaly_rate,
    HealthMetric.ANOMALY_RATE_CHANGE: _anomaly_rate_change,
    HealthMetric.INFERENCE_RATE_RATIO: _inference_rate_ratio,
    HealthMetric.SCORE_DISTANCE: _score_distance,
    HealthMetric.SCORE_MEAN_SHIFT: _score_mean_shift,
}
