# SPDX-License-Identifier: Apache-2.0
"""False alarms, anomalies found and bytes, and which model is the best by them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import DeviceId, Objective, ObjectiveMetric
from reconciler.training.objective import (
    Exposure,
    HoldoutCounts,
    ScoredTrial,
    TrialScore,
    best_threshold,
    best_trials,
    closest,
    exposure_of,
    score,
)
from reconciler.training.selection import RowUse, SelectedRow
from tests.training.documents import NOON, PUMP

FAN = DeviceId("fan-1")
PER_DAY, PER_1000 = ObjectiveMetric.FALSE_ALARMS_PER_DAY, ObjectiveMetric.FALSE_ALARMS_PER_1000


def selected(hour: int, device: DeviceId, *, anomalous: bool = False, use: RowUse = RowUse.EVALUATE) -> SelectedRow:
    return SelectedRow(hour, device, NOON + timedelta(hours=hour), 1 if anomalous else 5, anomalous, use)


def test_the_exposure_counts_what_is_evaluated_on() -> None:
    rows = [
        selected(0, PUMP, use=RowUse.TRAIN),
        *(selected(hour, PUMP) for hour in (12, 18, 24)),
        selected(36, PUMP, anomalous=True),
        *(selected(hour, FAN) for hour in (12, 48)),
    ]
    assert exposure_of(rows) == Exposure(windows=25, device_days=0.5 + 1.5, anomalous=1)
    assert exposure_of([]) == Exposure(0, 0.0, 0)


@pytest.mark.parametrize(("metric", "false_alarms"), [(PER_DAY, 15.0), (PER_1000, 300.0)])
def test_false_alarms_are_counted_in_the_unit_of_the_metric(metric: ObjectiveMetric, false_alarms: float) -> None:
    found = score(HoldoutCounts(0.6, 30, 9), 2000, Exposure(100, 2.0, 10), Objective(metric, 90, 0.001))
    assert found == TrialScore(0.6, false_alarms + 2.0, false_alarms, 90.0, 2000, reached=True)
    assert not score(HoldoutCounts(0.6, 30, 9), 2000, Exposure(100, 2.0, 10), Objective(metric, 91, 0.001)).reached


def test_without_anomalies_detection_is_not_measured() -> None:
    found = score(HoldoutCounts(0.6, 0, 0), 10, Exposure(100, 1.0, 0), Objective())
    assert (found.detection, found.reached) == (None, True)


PLAIN = TrialScore(0.6, 5.0, 4.0, 96.0, 1000, reached=True)


def test_the_best_threshold_finds_enough_and_raises_the_fewest_alarms() -> None:
    quiet = replace(PLAIN, threshold=0.8, objective=1.0, detection=50.0, reached=False)
    better = replace(PLAIN, threshold=0.7, objective=3.0)
    assert best_threshold([quiet, PLAIN, better]) == better
    blind = replace(quiet, threshold=0.9, objective=0.5, detection=10.0)
    assert best_threshold([blind, quiet]) == quiet  # of those that miss too many, the one that misses the fewest


def test_the_best_trials_are_kept_and_equal_ones_in_their_order() -> None:
    scored = [
        ScoredTrial(1, replace(PLAIN, objective=9.0)),
        ScoredTrial(2, replace(PLAIN, objective=0.1, detection=20.0, reached=False)),
        ScoredTrial(4, PLAIN),
        ScoredTrial(3, PLAIN),
    ]
    assert [each.number for each in best_trials(scored, 2)] == [3, 4]
    assert [each.number for each in best_trials(scored, 9)] == [3, 4, 1]
    assert best_trials(scored[1:2], 3) == ()
    assert closest(scored[1:2]) == scored[1]
    assert closest([]) is None
