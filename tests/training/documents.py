# SPDX-License-Identifier: Apache-2.0
"""Trainings and windows for tests: a machine whose normal vibration is smooth, and whose faults are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.training.snapshot import Snapshot, SnapshotLayout
from reconciler.model import (
    ContestId,
    DeviceId,
    FeatureChoice,
    FeatureOf,
    Objective,
    ObjectiveMetric,
    SearchSpace,
    Training,
    TrainingId,
    TrainingMethod,
)
from reconciler.training.selection import RowUse, SelectedRow

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
PUMP = DeviceId("pump-1")
SAMPLES = 32
INT8 = SnapshotLayout(SAMPLES, 1, 0.02, ElementType.INT8, -3)
FEATURES = FeatureChoice(tuple(FeatureOf(name) for name in ("std", "peak", "mean", "kurtosis")), (2, 3))
FOREST = SearchSpace(TrainingMethod.ISOLATION_FOREST, trees=(5, 10), samples=(32, 64), features=FEATURES)
TRAINING = Training(
    TrainingId("nightly"),
    ContestId("pumps"),
    "forest",
    (FOREST,),
    trials=6,
    objective=Objective(ObjectiveMetric.FALSE_ALARMS_PER_1000, detection=90),
)


def training(**changes: Any) -> Training:  # noqa: ANN401 - fields of Training
    return replace(TRAINING, **changes)


def rows(normal: int = 120, anomalous: int = 12) -> tuple[SelectedRow, ...]:
    """Return rows of which the last third is held out; anomalies are only evaluated on."""
    count = normal + anomalous
    every = max(1, count // max(anomalous, 1))
    found = []
    for index in range(count):
        odd = index % every == every - 1 and index // every < anomalous
        use = RowUse.EVALUATE if odd or index >= count * 2 // 3 else RowUse.TRAIN
        found.append(SelectedRow(index + 1, PUMP, NOON + timedelta(minutes=index), 1 if odd else 10, odd, use))
    return tuple(found)


def snapshot(normal: int = 120, anomalous: int = 12, seed: int = 3) -> Snapshot:
    """Return windows of a machine, of which the faults are rough."""
    every = rows(normal, anomalous)
    spread = np.array([4000.0 if row.anomalous else 300.0 for row in every])
    windows = np.random.default_rng(seed).normal(0, spread[:, None], (len(every), SAMPLES))
    data = np.clip(windows, -32_000, 32_000).astype("<i2").tobytes()
    return Snapshot(SnapshotLayout(SAMPLES, 1, 1.0), every, data)


def int8_windows(every: tuple[SelectedRow, ...], seed: int = 3) -> bytes:
    """Return windows as a network reads them: a steady vibration of any phase, with noise where there is a fault."""
    chance = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(SAMPLES) / 16 + chance.uniform(0, 2 * np.pi, (len(every), 1))
    noise = np.array([40.0 if row.anomalous else 3.0 for row in every])
    windows = 60 * np.sin(angle) + chance.normal(0, noise[:, None], (len(every), SAMPLES))
    data: bytes = np.clip(np.rint(windows) + INT8.zero_point, -128, 127).astype("<i1").tobytes()
    return data


def int8_snapshot(*, learn_anomalies: bool = False) -> Snapshot:
    """Return the windows of a contest whose champion is a network."""
    every = rows(normal=120, anomalous=24)
    if learn_anomalies:
        every = tuple(
            replace(row, use=RowUse.TRAIN if place < 100 else RowUse.EVALUATE) for place, row in enumerate(every)
        )
    return Snapshot(INT8, every, int8_windows(every))
