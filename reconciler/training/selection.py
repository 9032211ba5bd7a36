# SPDX-License-Identifier: Apache-2.0
"""Which windows a training uses: those with a truth, the oldest to train on, the newest to evaluate on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.persistence import passing
from reconciler.model import DeviceId, Persistence, TrainingData, TruthSource, UndecidedUse, WindowLabel

_Known = tuple[datetime, int, EvaluatedSample, bool]  # time, number, sample, truth


class RowUse(IntEnum):
    """What a row is for."""

    TRAIN = 0  # models are trained on it
    EVALUATE = 1  # held out, because it is new or has a label that is not trained on


@dataclass(frozen=True, slots=True)
class KnownWindow:
    """A window with what it counts as. The number is that of its sample."""

    number: int
    sample: EvaluatedSample
    truth: bool | None  # by the vote of the pool, or by the label of a person; None: undecided
    voted: bool = True  # by enough models, so without a truth they do not agree


@dataclass(frozen=True, slots=True)
class SelectedRow:
    """A window of a training."""

    number: int
    device: DeviceId
    received_at: datetime
    weight: int  # windows that it stands for
    anomalous: bool
    use: RowUse


def select(rows: Iterable[KnownWindow], data: TrainingData, now: datetime) -> tuple[SelectedRow, ...]:
    """Return the windows of a training, in the order of their time.

    Of each kind, the newest share is held out: where a machine fails, the newest windows of all are anomalies, and
    without a normal one among them no false alarm could be counted. Windows of a kind that is not trained on serve to
    evaluate, whenever they arrived: a model that was trained on normal windows has seen no anomaly. With a persistence,
    an anomaly that the pool alone has seen, and that passes too soon, serves for nothing.
    """
    since = now - timedelta(seconds=data.last_s)
    known = [
        (row.sample.received_at, row.number, row.sample, truth)
        for row in rows
        if row.sample.received_at >= since and (truth := _truth(row, data)) is not None
    ]
    known.sort(key=lambda each: each[:2])
    found = _without_passing(known, data.persistence)
    left = {label is WindowLabel.ANOMALOUS: 0 for label in data.labels}  # to train on
    for kind in left:
        of_kind = sum(truth is kind for *_, truth in found)
        left[kind] = of_kind - int(of_kind * data.holdout / 100)
    selected = []
    for at, number, sample, truth in found:
        trained = left.get(truth, 0) > 0
        if trained:
            left[truth] -= 1
        use = RowUse.TRAIN if trained else RowUse.EVALUATE
        selected.append(SelectedRow(number, sample.device, at, sample.weight, truth, use))
    return tuple(selected)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many windows a training has, by what they are for."""

    trained_normal: int
    trained_anomalous: int
    evaluated_normal: int
    evaluated_anomalous: int

    @property
    def all(self) -> int:
        """All windows."""
        return self.trained_normal + self.trained_anomalous + self.evaluated_normal + self.evaluated_anomalous


def count(rows: Sequence[SelectedRow]) -> RowCounts:
    """Count windows."""
    kinds = [(row.use, row.anomalous) for row in rows]
    return RowCounts(
        kinds.count((RowUse.TRAIN, False)),
        kinds.count((RowUse.TRAIN, True)),
        kinds.count((RowUse.EVALUATE, False)),
        kinds.count((RowUse.EVALUATE, True)),
    )


MIN_NORMALS = 20  # to train on, and to evaluate on


def shortage(counts: RowCounts, data: TrainingData) -> str:
    """Return what is missing to train on these windows; empty: nothing."""
    if counts.trained_normal < MIN_NORMALS:
        return f"{counts.trained_normal} of at least {MIN_NORMALS} normal windows to train on"
    if WindowLabel.ANOMALOUS in data.labels and not counts.trained_anomalous:
        return "no anomalous window to train on"
    if counts.evaluated_normal < MIN_NORMALS:
        return f"{counts.evaluated_normal} of at least {MIN_NORMALS} normal windows to evaluate on"
    return ""


def is_split(row: KnownWindow, data: TrainingData) -> bool:
    """Return whether a window counts as normal because the pool does not agree that it is anomalous."""
    return row.truth is None and row.voted and data.undecided is UndecidedUse.NORMAL and TruthSource.POOL in data.by


def _without_passing(known: Sequence[_Known], wanted: Persistence | None) -> Sequence[_Known]:
    """Leave out the anomalies by the pool that pass."""
    if wanted is None:
        return known
    anomalous = [(number, sample) for _, number, sample, truth in known if truth]
    left_out = passing([sample for _, sample in anomalous], wanted)
    numbers = {anomalous[index][0] for index in left_out}
    return [each for each in known if each[1] not in numbers]


def _truth(row: KnownWindow, data: TrainingData) -> bool | None:
    if row.sample.label is not None:
        return row.sample.label if TruthSource.PERSON in data.by else None
    if TruthSource.POOL not in data.by:
        return None
    return False if is_split(row, data) else row.truth
