# SPDX-License-Identifier: Apache-2.0
"""The outcomes of trials as files: the pack first, then what makes it count, so that no half of one is ever read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from reconciler.compiler.training.messages import TrialOutcome, outcome_from_json, outcome_to_json

_NAME = re.compile(r"trial-(\d+)\.json")


def write_outcome(folder: Path, outcome: TrialOutcome) -> None:
    """Write the outcome of one trial."""
    number = outcome.trial.number
    if outcome.pack:
        write_whole(folder / f"trial-{number:04d}.pack", outcome.pack)
    write_whole(folder / f"trial-{number:04d}.json", outcome_to_json(outcome))


def read_outcomes(folder: Path, *, ended: bool = False) -> dict[int, TrialOutcome]:
    """Return the outcomes in a folder by the numbers of their trials; what cannot be read is run again.

    Once a run has ended, only the best keep their packs.
    """
    found = {}
    for path in sorted(folder.glob("trial-*.json")):
        if _NAME.fullmatch(path.name) is None:
            continue
        pack = path.with_suffix(".pack")
        try:
            outcome = outcome_from_json(path.read_bytes(), pack.read_bytes() if pack.exists() else b"")
        except (ValueError, KeyError, TypeError):
            continue
        if ended or outcome.score is None or len(outcome.pack) == outcome.score.pack_bytes:
            found[outcome.trial.number] = outcome
    return found


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read; a reader, and a power cut, find all of it or the one before."""
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
