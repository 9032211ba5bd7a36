# SPDX-License-Identifier: Apache-2.0
"""Whether a model does well on a device: the gates of a rollout, judged on what the device counted.

A gate that can't be judged is not passed: missing evidence opens no wave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import Counts, DeviceHealth, HealthGate, HealthMetric, Scores

COUNTED = frozenset({HealthMetric.FAULTS, HealthMetric.RESETS})  # these only grow: too many are too many at once


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gates say of one device, in words; both empty: all are passed."""

    failed: str = ""
    awaits: str = ""


PASSED = GateResult()


def evaluate_gates(gates: Sequence[HealthGate], health: DeviceHealth | None) -> GateResult:
    """Judge all gates; the first that fails is named, else the first that can't be judged yet."""
    if not gates:
        return PASSED
    if health is None:
        return GateResult(awaits="nothing was heard of how it does")
    findings = [_examine(gate, health) for gate in gates]
    failed = next((found for found in findings if found.failed), None)
    return failed or next((found for found in findings if found.awaits), PASSED)


def _examine(gate: HealthGate, health: DeviceHealth) -> GateResult:
    value = MEASURES[gate.metric](health)
    early = health.now.inferences < gate.over_inferences
    if early and not (gate.metric in COUNTED and value is not None and _is_above(gate, value)):
        return GateResult(awaits=f"{gate.metric.value} is judged after {gate.over_inferences:,} inferences")
    if value is None:
        return GateResult(awaits=f"{gate.metric.value} has nothing to go by")
    if _is_above(gate, value):
        return GateResult(failed=f"{gate.metric.value} is {value:.4g}, at most {gate.at_most:.4g} passes")
    if gate.at_least is not None and value < gate.at_least:
        return GateResult(failed=f"{gate.metric.value} is {value:.4g}, at least {gate.at_least:.4g} passes")
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
    """Take the total variation distance of the two histograms: 0 is alike, 1 has nothing in common."""
    now, before = _scores(health.now), _scores(health.before)
    if now is None or before is None or len(now.histogram) != len(before.histogram):
        return None
    ours, theirs = sum(now.histogram), sum(before.histogram)
    if not ours or not theirs:
        return None
    return (
        sum(abs(here / ours - there / theirs) for here, there in zip(now.histogram, before.histogram, strict=True)) / 2
    )


def _score_mean_shift(health: DeviceHealth) -> float | None:
    """Compare how far the mean moved with how wide the scores were spread before."""
    now, before = _scores(health.now), _scores(health.before)
    if now is None or before is None:
        return None
    return abs(now.mean - before.mean) / max(1, before.maximum - before.minimum)


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
