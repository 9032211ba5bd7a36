# SPDX-License-Identifier: Apache-2.0
"""Statuses of one kind: from the status branches of a clone, or from a gateway with its newest figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from reconciler import config
from reconciler.cli.inputs.known_names import unknown_name
from reconciler.cli.inputs.repositories import LIMIT_S, find_repository
from reconciler.daemon import runtime_status
from reconciler.daemon.gateway_overview import recorded_state
from reconciler.daemon.instance_lock import holder
from reconciler.engine.status.status_folder import CONTESTS, FUNCTIONS, PIPELINES, TRAININGS
from reconciler.git.status_reader import files_at, status_branches
from reconciler.report.conditions import Conditions
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.contest_file import figures_as_dict, figures_from_dict, read_contest_file
from reconciler.report.contest_status import ContestStatus
from reconciler.report.function_status import (
    FunctionFigures,
    FunctionStatus,
    function_figures_as_dict,
    function_figures_from_dict,
    read_function_file,
)
from reconciler.report.pipeline_figures import PipelineFigures, pipeline_figures_as_dict, pipeline_figures_from_dict
from reconciler.report.pipeline_status import PipelineStatus, read_pipeline_file
from reconciler.report.training_figures import TrainingFigures, training_figures_as_dict, training_figures_from_dict
from reconciler.report.training_status import TrainingStatus, read_training_file

Figures_co = TypeVar("Figures_co", covariant=True)


class FiguredStatus(Protocol[Figures_co]):
    """What the statuses of all kinds have."""

    @property
    def name(self) -> str:
        """The name of the document."""

    @property
    def figures(self) -> Figures_co:
        """Its figures, as they were when the status was written."""

    @property
    def conditions(self) -> Conditions:
        """Its conditions."""


AnyStatus = TypeVar("AnyStatus", bound=FiguredStatus[Any])
AnyFigures = TypeVar("AnyFigures")


@dataclass(frozen=True, slots=True)
class StatusOverview(Generic[AnyStatus, AnyFigures]):
    """One document at one gateway."""

    gateway: str
    status: AnyStatus
    figures: AnyFigures  # the newest
    fields: Mapping[str, Any]  # the figures under their names in JSON

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        conditions = [each.as_dict() for each in self.status.conditions]
        return {"gateway": self.gateway, **self.fields, "conditions": conditions}


@dataclass(frozen=True, slots=True)
class StatusReader(Generic[AnyStatus, AnyFigures]):
    """Where the statuses of a kind are, and how they are read."""

    kind: str  # in messages
    folder: str  # of the status branch
    live: str  # the name of their figures in the status of a running daemon
    read_file: Callable[[bytes], AnyStatus]
    as_dict: Callable[[AnyFigures], dict[str, Any]]
    from_dict: Callable[[Mapping[str, Any]], AnyFigures]

    def overviews(self, path: Path | None, config_path: Path) -> list[StatusOverview[AnyStatus, AnyFigures]]:
        """Read those of a clone at a path, or without one those of the gateway of the configuration."""
        found = self._of_gateway(config_path) if path is None else self._of_clone(path)
        return sorted(found, key=lambda each: (each.status.name, each.gateway))

    def named(self, name: str, path: Path | None, config_path: Path) -> list[StatusOverview[AnyStatus, AnyFigures]]:
        """Read those of one name. An unknown name is an error for the user."""
        found = self.overviews(path, config_path)
        matching = [each for each in found if each.status.name == name]
        if not matching:
            raise unknown_name(self.kind, name, {each.status.name for each in found})
        return matching

    def _of_clone(self, path: Path) -> list[StatusOverview[AnyStatus, AnyFigures]]:
        git = find_repository(path).git
        try:
            return [
                self._overview(name, self.read_file(body))
                for name, branch in status_branches(git, limit_s=LIMIT_S).items()
                for body in files_at(git, branch.commit, limit_s=LIMIT_S, below=self.folder).values()
            ]
        finally:
            git.clear_cache()

    def _of_gateway(self, config_path: Path) -> list[StatusOverview[AnyStatus, AnyFigures]]:
        settings = config.read(config_path)
        with recorded_state(settings.state_dir) as state:
            statuses = [self.read_file(body) for body in state.status_files(self.folder).values()]
        runs = holder(settings.state_dir) is not None
        live = ((runtime_status.read(settings.state_dir) if runs else None) or {}).get(self.live, {})
        return [self._overview(settings.name, status, live.get(status.name)) for status in statuses]

    def _overview(
        self, gateway: str, status: AnyStatus, live: Mapping[str, Any] | None = None
    ) -> StatusOverview[AnyStatus, AnyFigures]:
        figures = status.figures if live is None else self.from_dict(live)
        return StatusOverview(gateway, status, figures, self.as_dict(figures))


ContestOverview = StatusOverview[ContestStatus, ContestFigures]
TrainingOverview = StatusOverview[TrainingStatus, TrainingFigures]
FunctionOverview = StatusOverview[FunctionStatus, FunctionFigures]
contests = StatusReader("contest", CONTESTS, "contests", read_contest_file, figures_as_dict, figures_from_dict)
trainings = StatusReader(
    "training", TRAININGS, "trainings", read_training_file, training_figures_as_dict, training_figures_from_dict
)
PipelineOverview = StatusOverview[PipelineStatus, PipelineFigures]
pipelines = StatusReader(
    "pipeline", PIPELINES, "pipelines", read_pipeline_file, pipeline_figures_as_dict, pipeline_figures_from_dict
)
functions = StatusReader(
    "function", FUNCTIONS, "functions", read_function_file, function_figures_as_dict, function_figures_from_dict
)
