# SPDX-License-Identifier: Apache-2.0
"""Runs the trials of a training that are not done yet: on this machine, or on any executor, with the same result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from types import MappingProxyType

from reconciler.compiler.sandbox import BuildLimits
from reconciler.compiler.training.messages import TrialJob, TrialOutcome
from reconciler.compiler.training.run_folder import RunFolder
from reconciler.compiler.training.trial_process import run_trials
from reconciler.model import Training
from reconciler.training.trials import Trial, draw_trials

CHUNK = 8  # trials of one process, which computes the features of the windows once


class Trainer:
    """The trials of one run."""

    def __init__(
        self,
        folder: RunFolder,
        training: Training,
        limits: BuildLimits,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self._folder = folder
        self._training = training
        self._limits = limits
        self._files = files
        self.cancelled = threading.Event()

    def run(
        self,
        snapshot: bytes,
        on_outcome: Callable[[TrialOutcome], None] | None = None,
        executor: Executor | None = None,
    ) -> bool:
        """Run what is left, on this machine or an executor; return whether all trials are done.

        Raises `ToolsMissing` if none can run here.
        """
        self._folder.forget_work()
        done = {outcome.trial for outcome in self._folder.outcomes().values()}
        left = [trial for trial in draw_trials(self._training) if trial not in done]

        def keep(outcome: TrialOutcome) -> None:
            self._folder.add(outcome)
            if on_outcome is not None:
                on_outcome(outcome)

        chunks = [left[at : at + CHUNK] for at in range(0, len(left), CHUNK)]
        if executor is None:
            for chunk in chunks:
                if not self.cancelled.is_set():
                    run_trials(self._job(snapshot, chunk), keep, self.cancelled, self._folder.path)
        else:
            self._spread(executor, [self._job(snapshot, chunk) for chunk in chunks], keep)
        return not self.cancelled.is_set()

    def _spread(self, executor: Executor, jobs: Sequence[TrialJob], keep: Callable[[TrialOutcome], None]) -> None:
        futures = [executor.submit(run_trials, job) for job in jobs]
        for future in as_completed(futures):
            for outcome in future.result():
                keep(outcome)
            if self.cancelled.is_set():
                break
        for future in futures:
            future.cancel()

    def _job(self, snapshot: bytes, trials: Sequence[Trial]) -> TrialJob:
        return TrialJob(snapshot, tuple(trials), self._training.objective, self._limits, self._files)
