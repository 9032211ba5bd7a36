# SPDX-License-Identifier: Apache-2.0
"""By what trained models are compared: the false alarms on held-out windows, the anomalies found, the bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import DeviceId, Objective, ObjectiveMetric
from reconciler.training.selection import RowUse, SelectedRow

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the held-out windows stand for: the same for every trial."""

    windows: int  # normal ones, weighted
    device_days: float  # the sum over devices of the time between their first and their last held-out window
    anomalous: int


def exposure_of(rows: Iterable[SelectedRow]) -> Exposure:
    """Return what the windows stand for on which models are evaluated."""
    windows = anomalous = 0
    times: dict[DeviceId, list[datetime]] = defaultdict(list)
    for row in rows:
        if row.use is RowUse.EVALUATE:
            anomalous += row.anomalous
            if not row.anomalous:
                windows += row.weight
                times[row.device].append(row.received_at)
    spans = [max((max(each) - min(each)).total_seconds(), 1.0) for each in times.values()]
    return Exposure(windows, sum(spans) / DAY_S, anomalous)


@dataclass(frozen=True, slots=True)
class HoldoutCounts:
    """What a model decides on the held-out windows at one threshold."""

    threshold: float | None  # None: a classifier has none
    false_alarms: int  # weighted
    found: int  # of the anomalous windows


@dataclass(frozen=True, slots=True)
class TrialScore:
    """A model at one threshold, measured."""

    threshold: float | None
    objective: float
    false_alarms: float  # in the unit of the metric
    detection: float | None  # percent; None: there was no anomalous window
    pack_bytes: int
    reached: bool  # it finds as many anomalies as it must


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """The best of what a trial's model reaches."""

    number: int
    score: TrialScore


def score(counts: HoldoutCounts, pack_bytes: int, exposure: Exposure, objective: Objective) -> TrialScore:
    """Measure a model at one threshold."""
    per = {
        ObjectiveMetric.FALSE_ALARMS_PER_DAY: exposure.device_days,
        ObjectiveMetric.FALSE_ALARMS_PER_1000: exposure.windows / 1000,
    }[objective.metric]
    false_alarms = counts.false_alarms / per if per else 0.0
    detection = 100 * counts.found / exposure.anomalous if exposure.anomalous else None
    return TrialScore(
        counts.threshold,
        false_alarms + objective.per_pack_byte * pack_bytes,
        false_alarms,
        detection,
        pack_bytes,
        detection is None or detection >= objective.detection,
    )


def best_threshold(scores: Sequence[TrialScore]) -> TrialScore:
    """Return the best of one model: one that finds enough, then the lowest objective, then the most found."""
    return min(scores, key=_order)


def best_trials(scored: Iterable[ScoredTrial], keep: int) -> tuple[ScoredTrial, ...]:
    """Return the best trials that find enough anomalies; equal ones in the order of their numbers."""
    reached = [each for each in scored if each.score.reached]
    return tuple(sorted(reached, key=lambda each: (_order(each.score), each.number))[:keep])


def closest(scored: Iterable[ScoredTrial]) -> ScoredTrial | None:
    """Return the trial that comes closest, whether it finds enough or not."""
    return min(scored, key=lambda each: (_order(each.score), each.number), default=None)


def _order(each: TrialScore) -> tuple[bool, float, float, float]:
    """Of those that miss the anomalies, the one that misses the fewest comes first."""
    missing = 0.0 if each.reached or each.detection is None else -each.detection
    return not each.reached, missing, each.objective, each.threshold or 0.0
