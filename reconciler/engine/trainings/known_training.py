# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows of one training between passes, and what its status says of that."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace

from reconciler.compiler.training.messages import TrialOutcome
from reconciler.compiler.training.run_folder import RunFolder, RunRecord
from reconciler.compiler.training.trainer import Trainer
from reconciler.engine.proposals.proposer import models_target, training_branch
from reconciler.engine.trainings.models_of_run import TrainedModel, best_models, closest_model
from reconciler.git.proposal_outcomes import DeclinedProposal, MergedProposal, ProposalOutcome, Proposed
from reconciler.model import GatewayId, Training
from reconciler.report.training_figures import TrainingFigures
from reconciler.report.training_status import TrainingReport
from reconciler.training.decision import RunResult, TrainingDecision, TrainingFacts, TrainingState

Arrived = tuple[int, int]  # new windows, and those that the pool has decided


@dataclass(slots=True)
class KnownTraining:
    """What is known of one training between passes. The record and the models are those of its folder."""

    folder: RunFolder
    record: RunRecord | None
    models: tuple[TrainedModel, ...] = ()
    closest: TrainedModel | None = None
    done: int = 0  # trials of the last run
    failed: int = 0
    task: asyncio.Task[None] | None = None
    trainer: Trainer | None = None
    retry_at_s: float = 0.0  # of the steady clock
    tools_missing: str = ""
    short: str = ""
    short_at: Arrived = (0, 0)  # what had arrived when it was found
    short_until_s: float = 0.0  # of the steady clock
    proposed: bool = False
    not_pushed: str = ""
    counted: tuple[int, int, int] = (-1, -1, 0)  # from a sample to the newest: how many

    def read_models(self, training: Training, record: RunRecord) -> None:
        """Read what a run that has ended came to."""
        outcomes = self.folder.outcomes(ended=True)
        kept = [each for each in outcomes.values() if each.pack]
        self.models = best_models(training, record, kept)
        self.closest = closest_model(training, record, outcomes.values())
        self.count(outcomes.values())

    def count(self, outcomes: Collection[TrialOutcome]) -> None:
        """Count the trials of the last run that have ended."""
        self.done, self.failed = len(outcomes), sum(each.score is None for each in outcomes)

    def save(self, result: RunResult) -> None:
        """Keep what became of the last run."""
        if self.record is not None:
            self.record = replace(self.record, result=result)
            self.folder.save(self.record)

    def is_meant(self, outcome: ProposalOutcome) -> bool:
        """Return whether an outcome is about what the last run proposes, and not about an earlier one."""
        if self.record is None or self.record.result is not RunResult.KEPT:
            return False
        target = models_target(each.ref for each in self.models)
        return not isinstance(outcome, Proposed | MergedProposal | DeclinedProposal) or outcome.target == target


@dataclass(frozen=True, slots=True)
class DecidedTraining:
    """A training, and what was decided in this pass."""

    training: Training
    facts: TrainingFacts
    decision: TrainingDecision


def training_report(gateway: GatewayId, decided: DecidedTraining, own: KnownTraining) -> TrainingReport:
    """Return what the status says of a training."""
    training, facts = decided.training, decided.facts
    record = own.record
    running = facts.result is RunResult.RUNNING
    state = TrainingState.RUNNING if own.task is not None and running else decided.decision.state
    shown = own.models or ((own.closest,) if own.closest is not None else ())
    figures = TrainingFigures(
        training.name,
        training.contest,
        training.model,
        training.objective.metric.value,
        state.value,
        facts.result.value,
        record.began_at if record is not None else None,
        decided.decision.until,
        own.done,
        record.trials if record is not None else training.trials,
        own.failed,
        facts.new_windows,
        training.when.new_windows,
        record.counts if record is not None else None,
        () if running else tuple(each.figures for each in shown),
    )
    return TrainingReport(
        figures,
        training.propose,
        f"propose/{gateway}/{training_branch(training.name)}",
        own.not_pushed,
        facts.short,
        record.why if record is not None else "",
        own.tools_missing,
    )
