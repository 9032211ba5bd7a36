# SPDX-License-Identifier: Apache-2.0
"""Health gates, evaluated on the counters of a device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import (
    Counts,
    DeviceHealth,
    HealthGate,
    HealthMetric,
    Scores,
)
from reconciler.plan.device.gates import PASSED, GateResult, evaluate_gates
from tests.plan.gated_fleet import CALM, NO_FAULTS


def gate(metric: HealthMetric, at_most: float | None = None, at_least: float | None = None) -> HealthGate:
    return HealthGate(metric, at_least=at_least, at_most=at_most)


@pytest.mark.parametrize(
    ("found", "passes", "fails"),
    [
        (replace(CALM, faults=2), gate(HealthMetric.FAULTS, 2), gate(HealthMetric.FAULTS, 1)),
        (replace(CALM, resets=2), gate(HealthMetric.RESETS, 2), gate(HealthMetric.RESETS, 1)),
        (replace(CALM, anomalies=50), gate(HealthMetric.ANOMALY_RATE, 0.05), gate(HealthMetric.ANOMALY_RATE, 0.04)),
        (
            replace(CALM, anomalies=50),
            gate(HealthMetric.ANOMALY_RATE_CHANGE, 0.05),
            gate(HealthMetric.ANOMALY_RATE_CHANGE, 0.03),
        ),
        (
            replace(CALM, seconds=200.0),
            gate(HealthMetric.INFERENCE_RATE_RATIO, at_least=0.5),
            gate(HealthMetric.INFERENCE_RATE_RATIO, at_least=0.6),
        ),
        (
            replace(CALM, scores=Scores(10, 0, 90, 80.0, (0, 5, 5, 0, 0, 0, 0, 0))),
            gate(HealthMetric.SCORE_DISTANCE, 0.5),
            gate(HealthMetric.SCORE_DISTANCE, 0.4),
        ),
        (
            replace(CALM, scores=Scores(10, 0, 90, 80.0, (0, 5, 5, 0, 0, 0, 0, 0))),
            gate(HealthMetric.SCORE_MEAN_SHIFT, 0.3),
            gate(HealthMetric.SCORE_MEAN_SHIFT, 0.2),
        ),
    ],
)
def test_each_metric_is_measured(found: Counts, passes: HealthGate, fails: HealthGate) -> None:
    assert evaluate_gates((passes,), DeviceHealth(found, CALM)) == PASSED
    assert evaluate_gates((passes, fails), DeviceHealth(found, CALM)).failed.startswith(fails.metric.value)


@pytest.mark.parametrize("metric", [m for m in HealthMetric if "change" in m or "ratio" in m or m.startswith("score")])
def test_a_comparison_without_a_baseline_is_not_passed(metric: HealthMetric) -> None:
    assert evaluate_gates((gate(metric, 1e9, -1e9),), DeviceHealth(CALM)) == GateResult(
        pending=f"{metric.value} has no data"
    )


@pytest.mark.parametrize("histogram", [(10, 0, 0, 0), (0,) * 8], ids=["other bins", "empty"])
def test_histograms_that_cannot_be_compared_are_not_passed(histogram: tuple[int, ...]) -> None:
    odd = replace(CALM, scores=Scores(10, 0, 100, 50.0, histogram))
    waits = GateResult(pending="score-distance has no data")
    assert evaluate_gates((gate(HealthMetric.SCORE_DISTANCE, 1.0),), DeviceHealth(odd, CALM)) == waits
    assert evaluate_gates((gate(HealthMetric.SCORE_DISTANCE, 1.0),), DeviceHealth(CALM, odd)) == waits


@pytest.mark.parametrize("metric", [m for m in HealthMetric if m not in {HealthMetric.FAULTS, HealthMetric.RESETS}])
@pytest.mark.parametrize(
    "empty",
    [
        Counts(inferences=0, anomalies=0, faults=0, resets=0),
        Counts(inferences=0, anomalies=0, faults=0, resets=0, scores=Scores(0, 0, 0, 0.0, (0,) * 8)),
    ],
    ids=["nothing", "no scores"],
)
def test_a_device_that_has_counted_nothing_has_passed_no_gate(metric: HealthMetric, empty: Counts) -> None:
    waits = GateResult(pending=f"{metric.value} has no data")
    assert evaluate_gates((gate(metric, 1e9, -1e9),), DeviceHealth(empty, CALM)) == waits
    if metric is not HealthMetric.ANOMALY_RATE:
        assert evaluate_gates((gate(metric, 1e9, -1e9),), DeviceHealth(CALM, empty)) == waits


def test_a_gate_that_waits_is_not_hidden_by_one_that_passes() -> None:
    waits = gate(HealthMetric.SCORE_DISTANCE, 1.0)
    for gates in ((NO_FAULTS, waits), (waits, NO_FAULTS)):
        assert evaluate_gates(gates, DeviceHealth(CALM)).pending == "score-distance has no data"


def test_without_gates_nothing_is_waited_for() -> None:
    assert evaluate_gates((), None) == PASSED


def test_a_rate_is_judged_only_after_enough_inferences() -> None:
    few = DeviceHealth(Counts(inferences=3, anomalies=3, faults=0, resets=0))
    strict = HealthGate(HealthMetric.ANOMALY_RATE, at_most=0.1, min_inferences=100)
    assert evaluate_gates((strict,), few) == GateResult(pending="anomaly-rate is evaluated after 100 inferences")


def test_too_many_faults_fail_early_and_few_pass_only_after_enough_inferences() -> None:
    few, many = replace(CALM, inferences=499), replace(CALM, inferences=3, faults=1)
    assert evaluate_gates((NO_FAULTS,), DeviceHealth(few)).pending
    assert evaluate_gates((NO_FAULTS,), DeviceHealth(many)).failed == "faults is 1, above the maximum of 0"
    assert evaluate_gates((NO_FAULTS,), DeviceHealth(replace(few, inferences=500))) == PASSED
    assert evaluate_gates((NO_FAULTS,), None).pending
