# SPDX-License-Identifier: Apache-2.0
"""Status files of one kind in a folder: each is written when its status changes, and removed with what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

from reconciler.model import ContestId, FunctionId, PipelineId, RolloutId, TrainingId
from reconciler.report.contest_file import contest_file, read_contest_file
from reconciler.report.contest_status import ContestReport, ContestStatus, contest_status
from reconciler.report.device_status import PassStamp
from reconciler.report.function_status import (
    FunctionReport,
    FunctionStatus,
    function_file,
    function_status,
    read_function_file,
)
from reconciler.report.model_status import (
    ModelFacts,
    ModelStatus,
    model_file,
    model_path,
    model_status,
    read_model_file,
)
from reconciler.report.pipeline_status import (
    PipelineReport,
    PipelineStatus,
    pipeline_file,
    pipeline_status,
    read_pipeline_file,
)
from reconciler.report.rollout_file import read_rollout_file, rollout_file
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, rollout_status
from reconciler.report.training_status import (
    TrainingReport,
    TrainingStatus,
    read_training_file,
    training_file,
    training_status,
)

ROLLOUTS = "rollouts/"
CONTESTS = "contests/"
MODELS = "models/"
EVIDENCE = "evidence/"
TRAININGS = "trainings/"
PIPELINES = "pipelines/"
FUNCTIONS = "functions/"

Name = TypeVar("Name", bound=str)
Facts = TypeVar("Facts")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class StatusKind(Generic[Name, Facts, Made]):
    """How statuses of one kind are made, written and read."""

    folder: str
    path: Callable[[Name], str]
    name_of: Callable[[Made], Name]
    make: Callable[[Facts, PassStamp, Made | None], Made]
    name_in: Callable[[Facts], Name]
    write: Callable[[Made], bytes]
    read: Callable[[bytes], Made]


class StatusFolder(Generic[Name, Facts, Made]):
    """The last statuses of one kind."""

    def __init__(self, kind: StatusKind[Name, Facts, Made], before: Mapping[str, bytes]) -> None:
        """Start from the files of an earlier run, which say since when conditions hold."""
        self._kind = kind
        read = [kind.read(body) for path, body in before.items() if path.startswith(kind.folder)]
        self.statuses: Mapping[Name, Made] = {kind.name_of(status): status for status in read}

    def render(
        self,
        found: Iterable[Facts],
        stamp: PassStamp,
        files: dict[str, bytes],
        *,
        keep: AbstractSet[Name] = frozenset(),
    ) -> set[str]:
        """Add the files that changed; return the paths of those that are gone. Those to keep stay."""
        kind = self._kind
        present: dict[Name, Made] = {name: self.statuses[name] for name in self.statuses.keys() & keep}
        for facts in found:
            before = self.statuses.get(kind.name_in(facts))
            status = kind.make(facts, stamp, before)
            present[kind.name_of(status)] = status
            if status != before:
                files[kind.path(kind.name_of(status))] = kind.write(status)
        gone = {kind.path(name) for name in self.statuses.keys() - present.keys()}
        self.statuses = present
        return gone


RolloutStatuses = StatusFolder[RolloutId, RolloutFacts, RolloutStatus]
ContestStatuses = StatusFolder[ContestId, ContestReport, ContestStatus]
ModelStatuses = StatusFolder[str, ModelFacts, ModelStatus]
TrainingStatuses = StatusFolder[TrainingId, TrainingReport, TrainingStatus]
PipelineStatuses = StatusFolder[PipelineId, PipelineReport, PipelineStatus]
FunctionStatuses = StatusFolder[FunctionId, FunctionReport, FunctionStatus]


def rollout_statuses(before: Mapping[str, bytes]) -> RolloutStatuses:
    """Return the statuses of rollouts."""
    return StatusFolder(
        StatusKind(
            ROLLOUTS,
            lambda name: f"{ROLLOUTS}{name}.yaml",
            lambda status: status.facts.rollout,
            rollout_status,
            lambda facts: facts.rollout,
            rollout_file,
            read_rollout_file,
        ),
        before,
    )


def contest_statuses(before: Mapping[str, bytes]) -> ContestStatuses:
    """Return the statuses of contests."""
    return StatusFolder(
        StatusKind(
            CONTESTS,
            _contest_path,
            lambda status: status.name,
            contest_status,
            lambda report: report.figures.contest,
            contest_file,
            read_contest_file,
        ),
        before,
    )


def _contest_path(contest: ContestId) -> str:
    return f"{CONTESTS}{contest}.yaml"


def evidence_path(contest: ContestId) -> str:
    """Return where the status of a contest stays as it was when its last proposal was made."""
    return f"{EVIDENCE}{contest}.yaml"


def evidence_of(contests: AbstractSet[str]) -> set[str]:
    """Return the paths of the evidence of contests, by the paths of their statuses."""
    return {EVIDENCE + path.removeprefix(CONTESTS) for path in contests}


def training_statuses(before: Mapping[str, bytes]) -> TrainingStatuses:
    """Return the statuses of trainings."""
    return StatusFolder(
        StatusKind(
            TRAININGS,
            lambda name: f"{TRAININGS}{name}.yaml",
            lambda status: status.name,
            training_status,
            lambda report: report.figures.training,
            training_file,
            read_training_file,
        ),
        before,
    )


def pipeline_statuses(before: Mapping[str, bytes]) -> PipelineStatuses:
    """Return the statuses of pipelines."""
    return StatusFolder(
        StatusKind(
            PIPELINES,
            lambda name: f"{PIPELINES}{name}.yaml",
            lambda status: status.name,
            pipeline_status,
            lambda report: report.figures.pipeline,
            pipeline_file,
            read_pipeline_file,
        ),
        before,
    )


def function_statuses(before: Mapping[str, bytes]) -> FunctionStatuses:
    """Return the statuses of functions."""
    return StatusFolder(
        StatusKind(
            FUNCTIONS,
            lambda name: f"{FUNCTIONS}{name}.yaml",
            lambda status: status.name,
            function_status,
            lambda report: report.figures.function,
            function_file,
            read_function_file,
        ),
        before,
    )


def model_statuses(before: Mapping[str, bytes]) -> ModelStatuses:
    """Return the statuses of models."""
    return StatusFolder(
        StatusKind(
            MODELS,
            model_path,
            lambda status: status.model,
            model_status,
            lambda facts: facts.model,
            model_file,
            read_model_file,
        ),
        before,
    )
