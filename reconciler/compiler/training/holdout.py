# SPDX-License-Identifier: Apache-2.0
"""The windows of a snapshot as arrays, and the measure of a model on those that are held out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reconciler.compiler.training.snapshot import Snapshot
from reconciler.model import Objective
from reconciler.training.objective import HoldoutCounts, TrialScore, exposure_of, score
from reconciler.training.selection import RowUse

Bools = npt.NDArray[np.bool_]


class Holdout:
    """Which windows a model is trained on, and how well it decides on the others."""

    def __init__(self, snapshot: Snapshot, objective: Objective) -> None:
        self._objective = objective
        self._exposure = exposure_of(snapshot.rows)
        self._weight = np.array([row.weight for row in snapshot.rows], np.int64)
        self.anomalous: Bools = np.array([row.anomalous for row in snapshot.rows], np.bool_)
        self.trained: Bools = np.array([row.use is RowUse.TRAIN for row in snapshot.rows], np.bool_)

    @property
    def normal(self) -> Bools:
        """The normal windows that a model is trained on."""
        return np.asarray(self.trained & ~self.anomalous)

    @property
    def has_anomalies(self) -> bool:
        """Whether there is an anomaly to find."""
        return self._exposure.anomalous > 0

    def score(self, threshold: float | None, called: Bools, pack_bytes: int) -> TrialScore:
        """Measure a model by the windows that it calls anomalous."""
        evaluated = ~self.trained
        false_alarms = int(self._weight[evaluated & ~self.anomalous & called].sum())
        found = int((evaluated & self.anomalous & called).sum())
        return score(HoldoutCounts(threshold, false_alarms, found), pack_bytes, self._exposure, self._objective)
