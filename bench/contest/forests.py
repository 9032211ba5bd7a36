# SPDX-License-Identifier: Apache-2.0
"""Twenty isolation forests, built by the repository's own compiler, and what the C engine decides with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.bearings.dataset import BearingRun
from bench.bearings.sampling import WINDOW, Int16s
from reconciler.compiler.datasets import Dataset
from reconciler.compiler.engine_runner import ExecutionTarget, execute
from reconciler.compiler.forest.training import train_forest
from reconciler.model import FeatureOf, ModelRef, TrainSpec, Version

TREES = (10, 20, 30, 40, 50)
FEATURES = ("kurtosis", "skewness", "mean")
SUBSAMPLE = 100
THRESHOLD = 0.6
HEALTHY_LIFE = 0.6  # forests are trained on the windows before this part of a bearing's life
COLUMNS = tuple(f"sample{number}" for number in range(WINDOW))

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, order=True)
class BenchForest:
    """A forest of so few parts that its name says them all: the bearing that it knows, and its trees."""

    bearing: int
    trees: int

    @property
    def ref(self) -> ModelRef:
        """The name and version of its model."""
        return ModelRef(f"bearing{self.bearing + 1}", Version(f"{self.trees}.0.0"))

    @property
    def seed(self) -> int:
        """The seed of its training."""
        return 100 * self.bearing + self.trees


def all_forests(run: BearingRun) -> dict[BenchForest, bytes]:
    """Return the packs of all forests: one for each bearing and number of trees."""
    return {
        BenchForest(bearing, trees): train(run, BenchForest(bearing, trees))
        for bearing in range(len(run.windows))
        for trees in TREES
    }


def training_windows(run: BearingRun, bearing: int) -> Int16s:
    """Return what a bearing did while it was healthy."""
    windows: Int16s = run.windows[bearing][run.life < HEALTHY_LIFE]
    return windows


def train(run: BearingRun, forest: BenchForest) -> bytes:
    """Build the pack of one forest."""
    rows = training_windows(run, forest.bearing).astype(np.float64)
    spec = TrainSpec(
        "isolation-forest",
        forest.trees,
        samples=SUBSAMPLE,
        seed=forest.seed,
        features=tuple(FeatureOf(statistic) for statistic in FEATURES),
    )
    return train_forest(Dataset(COLUMNS, rows), spec, scheme="int8", parameters={"threshold": THRESHOLD}).data


def decisions(pack: bytes, windows: Int16s) -> Bools:
    """Return whether the C engine calls each of these windows anomalous."""
    inferences = execute(ExecutionTarget.HOST, pack, as_inputs(windows)).inferences
    if any(inference.error for inference in inferences):
        raise SystemExit("the engine failed on a window")
    return np.array([inference.decision != 0 for inference in inferences])


def as_inputs(windows: Int16s) -> Sequence[bytes]:
    """Return each window as the bytes of a model's input."""
    return [window.astype("<i2").tobytes() for window in windows]
