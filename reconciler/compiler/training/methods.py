# SPDX-License-Identifier: Apache-2.0
"""Runs each trial by its method, in the caged process. What a method needs is imported for its first trial."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.compiler.training.messages import TrialJob, TrialOutcome
from reconciler.compiler.training.snapshot import decode_snapshot
from reconciler.model import TrainingMethod
from reconciler.training.trials import Trial

if TYPE_CHECKING:
    from reconciler.compiler.training.forest_trial import ForestTrials
    from reconciler.compiler.training.network_trial import NetworkTrials


class Methods:
    """All methods on the windows of one job."""

    def __init__(self, job: TrialJob) -> None:
        self._job = job
        self._snapshot = decode_snapshot(job.snapshot)

    def run(self, trial: Trial) -> TrialOutcome:
        """Train and evaluate one model."""
        return (self._networks if trial.method is TrainingMethod.KERAS else self._forests).run(trial)

    @cached_property
    def _forests(self) -> ForestTrials:
        from reconciler.compiler.training.forest_trial import ForestTrials  # noqa: PLC0415

        return ForestTrials(self._snapshot, self._job.objective)

    @cached_property
    def _networks(self) -> NetworkTrials:
        from reconciler.compiler.training.network_trial import NetworkTrials  # noqa: PLC0415

        return NetworkTrials(self._snapshot, self._job.objective, self._job.files)
