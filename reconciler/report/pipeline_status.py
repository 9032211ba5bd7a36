# SPDX-License-Identifier: Apache-2.0
"""The status of one pipeline: whether its stages are built, delivered, and run by their first devices.

Being slower than the target is a condition of its own: results are right, so it does not count for `Ready`.

As with trainings, a status stays the same until its conditions or its cuts change: every input changes the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.errors import Invalid
from reconciler.model import PipelineId
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp
from reconciler.report.figured_file import FiguredFile, figured_file, read_figured_file
from reconciler.report.pipeline_figures import (
    PipelineFigures,
    PipelineStageFigures,
    pipeline_figures_as_dict,
    pipeline_figures_from_dict,
)

KIND = "PipelineStatus"
PRIORITY = ("Cut", "Delivered", "Serving")


class InvalidPipelineStatus(Invalid):
    """The file is not a valid pipeline status."""

    reason: ClassVar[str] = "InvalidStatus"


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """The results of a pass for one pipeline."""

    figures: PipelineFigures
    failure: tuple[str, str] | None = None  # the reason and the message of a build that failed


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """One pipeline as its status file shows it."""

    figures: PipelineFigures
    conditions: Conditions

    @property
    def name(self) -> PipelineId:
        """The name of the pipeline."""
        return self.figures.pipeline

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def pipeline_status(report: PipelineReport, stamp: PassStamp, previous: PipelineStatus | None) -> PipelineStatus:
    """Build the conditions of a pipeline; return the previous status if only figures differ."""
    figures = report.figures
    parts = {"Cut": _cut(report), "Delivered": _delivered(figures), "Serving": _serving(figures)}
    before = previous.conditions if previous is not None else ()
    if figures.target is not None:
        parts["MeetsTarget"] = _meets_target(figures)
    kept = carry_over((Condition(name, *part, stamp.now, stamp.commit) for name, part in parts.items()), before)
    summary = carry_over((ready(kept, PRIORITY, when_true=parts["Serving"][-1]),), before)
    status = PipelineStatus(figures, (*summary, *kept))
    return previous if previous is not None and _outline(previous) == _outline(status) else status


def _outline(status: PipelineStatus) -> object:
    figures = status.figures
    conditions = [(each.type, each.status, each.reason, each.message) for each in status.conditions]
    return figures.model, figures.without, [(each.end, each.devices) for each in figures.stages], conditions


_Part = tuple[Status, str, str]


def _cut(report: PipelineReport) -> _Part:
    stages = report.figures.stages
    if report.failure is not None:
        return Status.FALSE, *report.failure
    if not stages:
        return Status.UNKNOWN, "Cutting", "The stages are being built."
    ends = ", ".join(str(each.end) for each in stages[:-1])
    cuts = f", cut before operator {ends}" if ends else ""
    return Status.TRUE, "Cut", f"{len(stages)} stages of {report.figures.model}{cuts}."


def _delivered(figures: PipelineFigures) -> _Part:
    if not figures.stages:
        return Status.UNKNOWN, "Cutting", "Nothing is built yet."
    waiting = [
        f"{device} does not hold stage {each.number} yet" for each in figures.stages for device in each.preparing
    ]
    if waiting:
        return Status.UNKNOWN, "Preparing", "; ".join(waiting)
    return Status.TRUE, "Delivered", "All devices hold their stages."


def _serving(figures: PipelineFigures) -> _Part:
    if not figures.stages:
        return Status.UNKNOWN, "Cutting", "Nothing is built yet."
    lost = [each for each in figures.stages if not each.on_first]
    for stage in lost:
        if stage.runs_on is None:
            return Status.FALSE, "Stopped", f"{_why(stage)}, and nothing may run it."
        if not stage.exact:
            return Status.FALSE, "FallenBack", f"{_why(stage)}; {stage.runs_on} answers with the fallback."
    if figures.without and not lost:
        numbers = " and ".join(map(str, figures.without))
        stages = f"Stage {numbers} is lost" if len(figures.without) == 1 else f"Stages {numbers} are lost"
        message = f"{stages}, so the network is cut for the other devices. Results stay the same in every byte."
        return Status.FALSE, "Merged", message
    if lost:
        reason = "StoodIn" if any(each.stood_in for each in lost) else "OnSpare"
        parts = "; ".join(f"{_why(each)}, so {_who(each)} runs it" for each in lost)
        return Status.FALSE, reason, f"{parts}. Results stay the same in every byte."
    return Status.TRUE, "Serving", "Every stage is run by its first device."


def _meets_target(figures: PipelineFigures) -> _Part:
    """Compare times with the target. The message has no time in it, so that it changes only with the answer."""
    if not figures.stages:
        return Status.UNKNOWN, "Cutting", "Nothing is built yet."
    which = "measured" if figures.is_measured else "predicted"
    if figures.missed:
        return Status.FALSE, "TooSlow", f"As {which}, {' and '.join(figures.missed)}."
    return Status.TRUE, "MeetsTarget", f"It is as fast as its target, as {which}."


def _who(stage: PipelineStageFigures) -> str:
    return "the gateway" if stage.stood_in else str(stage.runs_on)


def _why(stage: PipelineStageFigures) -> str:
    return f"stage {stage.number} is lost: {stage.cause}"


def pipeline_file(status: PipelineStatus) -> bytes:
    """Render the status of one pipeline."""
    fields = pipeline_figures_as_dict(status.figures)
    del fields["pipeline"]
    return figured_file(KIND, status.name, fields, status.conditions)


def read_pipeline_file(data: bytes) -> PipelineStatus:
    """Read a status file, or raise `InvalidPipelineStatus`."""

    def status_of(file: FiguredFile) -> PipelineStatus:
        return PipelineStatus(pipeline_figures_from_dict({**file.figures, "pipeline": file.name}), file.conditions)

    return read_figured_file(KIND, data, InvalidPipelineStatus, status_of)
