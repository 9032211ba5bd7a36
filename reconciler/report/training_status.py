# SPDX-License-Identifier: Apache-2.0
"""The status of one training: the condition `Trained`, and its figures.

As with contests, a status stays the same until its condition, its state or its best models change: trials end all the
time, and a commit for each would drown the status branch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.errors import Invalid
from reconciler.model import TrainingId, TrainingProposal
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp
from reconciler.report.figured_file import FiguredFile, figured_file, read_figured_file
from reconciler.report.training_figures import (
    TrainedFigures,
    TrainingFigures,
    training_figures_as_dict,
    training_figures_from_dict,
)
from reconciler.training.decision import RunResult, TrainingState

KIND = "TrainingStatus"
PRIORITY = ("Trained",)


class InvalidTrainingStatus(Invalid):
    """The file is not a valid training status."""

    reason: ClassVar[str] = "InvalidStatus"


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """The results of a pass for one training."""

    figures: TrainingFigures
    mode: TrainingProposal
    branch: str
    not_pushed: str = ""  # why the branch could not be pushed
    short: str = ""  # what the windows lack
    failure: str = ""  # why the last run failed
    tools_missing: str = ""  # what this gateway lacks to train


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """One training as its status file shows it."""

    figures: TrainingFigures
    conditions: Conditions

    @property
    def name(self) -> TrainingId:
        """The name of the training."""
        return self.figures.training

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def training_status(report: TrainingReport, stamp: PassStamp, previous: TrainingStatus | None) -> TrainingStatus:
    """Build the conditions of a training; return the previous status if only figures differ."""
    part = Condition("Trained", *_trained(report), stamp.now, stamp.commit)
    before = previous.conditions if previous is not None else ()
    kept = carry_over((part,), before)
    summary = carry_over((ready(kept, PRIORITY, when_true=kept[0].message),), before)
    status = TrainingStatus(report.figures, (*summary, *kept))
    return previous if previous is not None and _outline(previous) == _outline(status) else status


def _outline(status: TrainingStatus) -> object:
    figures = status.figures
    reasons = [(each.type, each.status, each.reason) for each in status.conditions]
    models = [each.model for each in figures.best]
    return figures.training, figures.contest, figures.model, figures.state, figures.result, models, reasons


Part = tuple[Status, str, str]


def _trained(report: TrainingReport) -> Part:
    figures = report.figures
    match TrainingState(figures.state):
        case TrainingState.SUSPENDED:
            return Status.UNKNOWN, "Suspended", "The training is suspended."
        case TrainingState.RUNNING:
            return _running(report)
        case TrainingState.OPEN:
            return Status.TRUE, "Open", f"{report.branch} proposes {_models(figures)}."
        case TrainingState.PROPOSING:
            return _proposing(report)
        case _:
            return _between_runs(report)


def _running(report: TrainingReport) -> Part:
    if report.tools_missing:
        return Status.FALSE, "ToolsMissing", report.tools_missing
    return Status.UNKNOWN, "Training", f"{report.figures.trials} trials run for {report.figures.model}."


def _proposing(report: TrainingReport) -> Part:
    models = _models(report.figures)
    if report.not_pushed:
        return Status.FALSE, "NotPushed", f"{models} could not be pushed: {report.not_pushed}"
    return Status.FALSE, "Proposing", f"{models} is about to be proposed"


def _between_runs(report: TrainingReport) -> Part:
    figures = report.figures
    match RunResult(figures.result):
        case RunResult.MISSED:
            return Status.FALSE, "ObjectiveMissed", _missed(figures)
        case RunResult.FAILED:
            return Status.FALSE, "TrainingFailed", f"all {figures.trials} trials failed: {report.failure}"
        case RunResult.DECLINED:
            return Status.FALSE, "ModelsDeclined", f"{_models(figures)} was proposed, and the branch was removed"
        case RunResult.MERGED:
            return Status.TRUE, "Merged", f"{_models(figures)} is in the repository; {_next(report)}."
        case RunResult.KEPT if report.mode is TrainingProposal.NEVER:
            return Status.FALSE, "ProposeNever", f"{_models(figures)} is ready, and the training has propose: never"
        case _:
            return Status.FALSE, "WaitingForData", _waiting_for(report)


def _next(report: TrainingReport) -> str:
    figures = report.figures
    if figures.until is not None:
        return f"the next training is not before {figures.until:%Y-%m-%d %H:%M} UTC"
    return f"the next training waits for {_waiting_for(report)}"


def _waiting_for(report: TrainingReport) -> str:
    figures = report.figures
    arrived = f"{figures.new_windows:,} of {figures.wanted_windows:,} new windows"
    return f"{arrived}; {report.short}" if report.short else arrived


def _missed(figures: TrainingFigures) -> str:
    if not figures.best:
        return f"no trial of {figures.trials} reaches the objective"
    best: TrainedFigures = figures.best[0]
    found = "" if best.detection is None else f", which finds {best.detection:.1f} % of the anomalies"
    return f"no trial of {figures.trials} reaches the objective; the closest is trial {best.trial}{found}"


def _models(figures: TrainingFigures) -> str:
    return ", ".join(each.model for each in figures.best) or figures.model


def training_file(status: TrainingStatus) -> bytes:
    """Render the status of one training."""
    fields = training_figures_as_dict(status.figures)
    del fields["training"]
    return figured_file(KIND, status.name, fields, status.conditions)


def read_training_file(data: bytes) -> TrainingStatus:
    """Read a status file, or raise `InvalidTrainingStatus`."""

    def status_of(file: FiguredFile) -> TrainingStatus:
        return TrainingStatus(training_figures_from_dict({**file.figures, "training": file.name}), file.conditions)

    return read_figured_file(KIND, data, InvalidTrainingStatus, status_of)
