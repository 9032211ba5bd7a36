# SPDX-License-Identifier: Apache-2.0
"""Runs a training until someone kills it: `python -m tests.compiler.training.gateway_that_trains FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from reconciler.compiler.sandbox import BuildLimits
from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.run_folder import RunFolder
from reconciler.compiler.training.trainer import Trainer
from tests.training.documents import TRAINING, snapshot


def say(outcome: TrialOutcome) -> None:
    sys.stdout.write(f"{outcome.trial.number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    trainer = Trainer(RunFolder(Path(sys.argv[1]), TRAINING.name), TRAINING, BuildLimits())
    trainer.run(snapshot().encoded, say)
