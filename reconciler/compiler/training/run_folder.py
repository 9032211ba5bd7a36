# SPDX-License-Identifier: Apache-2.0
"""What a gateway keeps of a training: its last run, the windows of it while it runs, and the outcomes of its trials.

All files belong to the gateway's user alone. The windows are deleted when the run ends.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.outcome_files import read_outcomes, write_outcome, write_whole
from reconciler.compiler.training.snapshot import Snapshot
from reconciler.compiler.training.trial_process import WORK
from reconciler.model import TrainingId
from reconciler.training.decision import RunResult
from reconciler.training.objective import Exposure
from reconciler.training.selection import RowCounts

FOLDER = "trainings"  # in the gateway's state_dir
RUN, SNAPSHOT, REQUEST = "run.json", "snapshot", "asked"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The last run of a training."""

    digest: str  # of the snapshot and of all of the document that the models depend on
    document: str  # the digest of that document alone
    snapshot: str
    began_at: datetime
    newest: datetime  # when its newest window arrived
    last_sample: int  # the newest sample of the contest when it began
    trials: int
    counts: RowCounts
    exposure: Exposure
    result: RunResult
    why: str = ""  # it failed


def forget_all_windows(state_dir: Path) -> None:
    """Delete the windows of all runs in progress."""
    for path in (state_dir / FOLDER).glob("*"):
        RunFolder(state_dir, TrainingId(path.name)).forget_windows()


class RunFolder:
    """The folder of one training. Each change is complete or did not happen, so a kill at any moment is harmless."""

    def __init__(self, state_dir: Path, training: TrainingId) -> None:
        self.path = state_dir / FOLDER / training

    def begin(self, record: RunRecord, snapshot: Snapshot) -> None:
        """Begin a run: the windows first, then what makes them count."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in self.path.glob("trial-*"):
            old.unlink()
        write_whole(self.path / SNAPSHOT, snapshot.encoded)
        self.save(record)
        self.take_request()

    def save(self, record: RunRecord) -> None:
        """Keep the last run."""
        fields = {
            **asdict(record),
            "began_at": record.began_at.timestamp(),
            "newest": record.newest.timestamp(),
            "result": record.result.value,
        }
        write_whole(self.path / RUN, json.dumps(fields, indent=1).encode() + b"\n")

    def record(self) -> RunRecord | None:
        """Return the last run; None: there was none, or it can't be read."""
        try:
            raw: dict[str, Any] = json.loads((self.path / RUN).read_bytes())
            return RunRecord(
                **{
                    **raw,
                    "began_at": datetime.fromtimestamp(raw["began_at"], UTC),
                    "newest": datetime.fromtimestamp(raw["newest"], UTC),
                    "counts": RowCounts(**raw["counts"]),
                    "exposure": Exposure(**raw["exposure"]),
                    "result": RunResult(raw["result"]),
                }
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def snapshot(self, record: RunRecord) -> bytes | None:
        """Return the windows of the run that is in progress; None: they are gone or damaged."""
        try:
            data = (self.path / SNAPSHOT).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == record.snapshot else None

    def add(self, outcome: TrialOutcome) -> None:
        """Keep the outcome of a trial."""
        write_outcome(self.path, outcome)

    def outcomes(self, *, ended: bool = False) -> dict[int, TrialOutcome]:
        """Return the outcomes of the last run by the numbers of their trials; once it has ended, most lack a pack."""
        return read_outcomes(self.path, ended=ended)

    def end(self, record: RunRecord, keep: frozenset[int]) -> None:
        """End a run: the packs of the best models stay, the windows go."""
        self.save(record)
        self.forget_windows()
        for pack in self.path.glob("trial-*.pack"):
            if int(pack.stem.removeprefix("trial-")) not in keep:
                pack.unlink()

    def discard(self) -> None:
        """Delete a run and all that it made, and ask for another one."""
        for name in (RUN, SNAPSHOT):
            (self.path / name).unlink(missing_ok=True)
        for old in self.path.glob("trial-*"):
            old.unlink()
        self.request()

    def forget_windows(self) -> None:
        """Delete the windows. A run in progress begins again with what the knowledge base has."""
        (self.path / SNAPSHOT).unlink(missing_ok=True)
        self.forget_work()

    def forget_work(self) -> None:
        """Delete the copies of the windows that processes work on, or that a kill has left."""
        for work in self.path.glob(f"{WORK}*"):
            shutil.rmtree(work, ignore_errors=True)

    def request(self) -> None:
        """Ask the daemon for a run."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.path / REQUEST).touch(mode=0o600)

    def requested(self) -> bool:
        """Return whether a person asks for a run."""
        return (self.path / REQUEST).exists()

    def take_request(self) -> None:
        """Take note that a request was met."""
        (self.path / REQUEST).unlink(missing_ok=True)
