# SPDX-License-Identifier: Apache-2.0
"""The statuses of trainings: from the status branches of a clone, or from a gateway with its newest figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import config
from reconciler.cli.inputs.repositories import LIMIT_S, find_repository
from reconciler.daemon import runtime_status
from reconciler.daemon.gateway_overview import recorded_state
from reconciler.daemon.instance_lock import holder
from reconciler.engine.status.status_folder import TRAININGS
from reconciler.git.status_reader import files_at, status_branches
from reconciler.report.training_figures import (
    TrainingFigures,
    training_figures_as_dict,
    training_figures_from_dict,
)
from reconciler.report.training_status import TrainingStatus, read_training_file


@dataclass(frozen=True, slots=True)
class TrainingOverview:
    """One training at one gateway."""

    gateway: str
    status: TrainingStatus
    figures: TrainingFigures  # the newest

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        conditions = [each.as_dict() for each in self.status.conditions]
        return {"gateway": self.gateway, **training_figures_as_dict(self.figures), "conditions": conditions}


def training_overviews(path: Path | None, config_path: Path) -> list[TrainingOverview]:
    """Read the trainings of a clone at a path, or without one those of the gateway of the configuration."""
    found = _of_gateway(config_path) if path is None else _of_clone(path)
    return sorted(found, key=lambda each: (each.status.name, each.gateway))


def _of_clone(path: Path) -> list[TrainingOverview]:
    git = find_repository(path).git
    try:
        found = []
        for name, branch in status_branches(git, limit_s=LIMIT_S).items():
            files = files_at(git, branch.commit, limit_s=LIMIT_S, below=TRAININGS)
            statuses = [read_training_file(body) for body in files.values()]
            found += [TrainingOverview(name, status, status.figures) for status in statuses]
        return found
    finally:
        git.clear_cache()


def _of_gateway(config_path: Path) -> list[TrainingOverview]:
    settings = config.read(config_path)
    with recorded_state(settings.state_dir) as state:
        statuses = [read_training_file(body) for body in state.status_files(TRAININGS).values()]
    runs = holder(settings.state_dir) is not None
    live = ((runtime_status.read(settings.state_dir) if runs else None) or {}).get("trainings", {})
    return [
        TrainingOverview(
            settings.name,
            status,
            training_figures_from_dict(live[status.name]) if status.name in live else status.figures,
        )
        for status in statuses
    ]
