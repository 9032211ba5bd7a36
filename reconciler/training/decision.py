# SPDX-License-Identifier: Apache-2.0
"""When a training runs, and what it waits for: derived on each pass from the last run and from what arrived since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.model import Training, TrainingProposal


class TrainingState(StrEnum):
    """The state of a training: the first that applies, in this order."""

    SUSPENDED = "Suspended"
    RUNNING = "Training"  # its trials are running
    OPEN = "Open"  # a branch proposes its models
    PROPOSING = "Proposing"  # its models are about to be proposed
    WAITING_FOR_DATA = "WaitingForData"  # too few windows arrived since the last run
    WAITING = "Waiting"  # for the time of the next run
    DUE = "Due"


class RunResult(StrEnum):
    """What became of the last run."""

    NONE = "None"  # there was no run yet
    RUNNING = "Running"
    KEPT = "Kept"  # models that are not proposed yet, or are open
    MISSED = "ObjectiveMissed"
    FAILED = "TrainingFailed"
    MERGED = "Merged"
    DECLINED = "Declined"


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """The situation of a training."""

    result: RunResult = RunResult.NONE
    began_at: datetime | None = None  # the last run
    new_windows: int = 0  # since then
    no_successor: bool = False  # the contest has none
    proposed: bool = False  # the branch is on the remote
    asked: bool = False  # a person asks for a run
    changed: bool = False  # the document differs from the one of the last run
    short: str = ""  # what the windows lacked when a run was last tried


@dataclass(frozen=True, slots=True)
class TrainingDecision:
    """The state, and from when on time alone may change it."""

    state: TrainingState
    until: datetime | None = None


def decide(training: Training, facts: TrainingFacts, now: datetime) -> TrainingDecision:
    """Decide on one training."""
    if training.suspend:
        return TrainingDecision(TrainingState.SUSPENDED)
    if facts.result is RunResult.RUNNING:
        return TrainingDecision(TrainingState.RUNNING)
    if facts.result is RunResult.KEPT and training.propose is not TrainingProposal.NEVER:
        return TrainingDecision(TrainingState.OPEN if facts.proposed else TrainingState.PROPOSING)
    return _next_run(training, facts, now)


def _next_run(training: Training, facts: TrainingFacts, now: datetime) -> TrainingDecision:
    if facts.asked:
        return TrainingDecision(TrainingState.DUE)
    if facts.short or not (facts.changed or facts.new_windows >= training.when.new_windows):
        return TrainingDecision(TrainingState.WAITING_FOR_DATA)
    if facts.began_at is None or facts.changed or (facts.no_successor and training.when.on_no_successor):
        return TrainingDecision(TrainingState.DUE)
    until = facts.began_at + timedelta(seconds=training.when.every_s)
    return TrainingDecision(TrainingState.WAITING, until) if now < until else TrainingDecision(TrainingState.DUE)
