# SPDX-License-Identifier: Apache-2.0
"""Runs trials in a caged process, and in another one if a trial ends the first."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.sandbox import explain_exit, raise_failure_in, run_in_cage, system_failures
from reconciler.compiler.training.messages import TrialJob, TrialOutcome, job_to_json
from reconciler.compiler.training.outcome_files import read_outcomes

MODULE = "reconciler.compiler.training.worker"
WORK = "tinyfleet-training-"
OnOutcome = Callable[[TrialOutcome], None]


def run_trials(
    job: TrialJob,
    on_outcome: OnOutcome | None = None,
    cancelled: threading.Event | None = None,
    parent: Path | None = None,
) -> tuple[TrialOutcome, ...]:
    """Run the trials of a job in their order; call back after each. A trial that ends the process has failed.

    If it is cancelled, it returns what is done. Its files are in a folder of `parent`, which a kill leaves there.
    """
    left = {trial.number: trial for trial in job.trials}
    done: list[TrialOutcome] = []

    def note(outcome: TrialOutcome) -> None:
        if left.pop(outcome.trial.number, None) is not None:
            done.append(outcome)
            if on_outcome is not None:
                on_outcome(outcome)

    while left:
        why = _run_process(replace(job, trials=tuple(left.values())), note, cancelled, parent)
        if cancelled is not None and cancelled.is_set():
            break
        if left:
            note(TrialOutcome(next(iter(left.values())), None, error=why))
    return tuple(done)


def _run_process(job: TrialJob, note: OnOutcome, cancelled: threading.Event | None, parent: Path | None) -> str:
    """Run trials until one ends the process; return how it ended."""
    with system_failures("cannot start a training"), tempfile.TemporaryDirectory(prefix=WORK, dir=parent) as name:
        folder = Path(name)
        (folder / "snapshot").write_bytes(job.snapshot)
        (folder / "job.json").write_bytes(job_to_json(job))
        (folder / "files").mkdir()
        for digest, data in job.files.items():
            (folder / "files" / digest).write_bytes(data)
        (folder / "settings.json").write_text(json.dumps(asdict(job.limits)))

        def finished(number: str) -> None:
            outcome = read_outcomes(folder).get(int(number))
            if outcome is not None:
                note(outcome)

        ended = run_in_cage(MODULE, folder, job.limits.wall_s, finished, cancelled)
        for outcome in read_outcomes(folder).values():
            note(outcome)
        if ended.timed_out:
            return f"it took longer than the limit of {job.limits.wall_s:g} s and was stopped"
        try:
            raise_failure_in(folder)
        except BuildFailed as failure:
            return str(failure)
        return f"its process {explain_exit(ended, job.limits)}"
