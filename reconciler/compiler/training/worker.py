# SPDX-License-Identifier: Apache-2.0
"""The process of trials: `python -m reconciler.compiler.training.worker FOLDER`.

It limits itself before it reads anything, as a build does, and writes the outcome of each trial as soon as it is known:
if a trial ends the process, those before it are not lost.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from reconciler.compiler.errors import BuildFailed
from reconciler.compiler.worker import run_limited

JOB, SNAPSHOT, FILES = "job.json", "snapshot", "files"


def run_trials(folder: Path) -> None:
    """Run the trials of the job in a folder."""
    # Imported after the limits are set: these import numpy, and scikit-learn or TensorFlow.
    from reconciler.compiler.training.messages import TrialOutcome, job_from_json  # noqa: PLC0415
    from reconciler.compiler.training.methods import Methods  # noqa: PLC0415
    from reconciler.compiler.training.outcome_files import write_outcome  # noqa: PLC0415

    files = {path.name: path.read_bytes() for path in (folder / FILES).iterdir()}
    job = job_from_json((folder / JOB).read_bytes(), (folder / SNAPSHOT).read_bytes(), files)
    methods = Methods(job)
    for trial in job.trials:
        try:
            outcome = methods.run(trial)
        except BuildFailed as failure:
            outcome = TrialOutcome(trial, None, error=str(failure))
        write_outcome(folder, outcome)
        sys.stdout.write(f"step {trial.number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    code = run_limited(run_trials)
    sys.stdout.flush()
    os._exit(code)  # does not wait for threads of libraries
