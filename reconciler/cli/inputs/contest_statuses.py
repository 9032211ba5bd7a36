# SPDX-License-Identifier: Apache-2.0
"""The statuses of contests: from the status branches of a clone, or from a gateway with its newest figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import config
from reconciler.cli.inputs.repositories import LIMIT_S, find_repository
from reconciler.daemon import runtime_status
from reconciler.daemon.gateway_overview import recorded_state
from reconciler.daemon.instance_lock import holder
from reconciler.engine.status.status_folder import CONTESTS
from reconciler.git.status_reader import files_at, status_branches
from reconciler.report.contest_figures import ContestFigures
from reconciler.report.contest_file import figures_as_dict, figures_from_dict, read_contest_file
from reconciler.report.contest_status import ContestStatus


@dataclass(frozen=True, slots=True)
class ContestOverview:
    """One contest at one gateway."""

    gateway: str
    status: ContestStatus
    figures: ContestFigures  # the newest

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        conditions = [each.as_dict() for each in self.status.conditions]
        return {"gateway": self.gateway, **figures_as_dict(self.figures), "conditions": conditions}


def contest_overviews(path: Path | None, config_path: Path) -> list[ContestOverview]:
    """Read the contests of a clone at a path, or without one those of the gateway of the configuration."""
    found = _of_gateway(config_path) if path is None else _of_clone(path)
    return sorted(found, key=lambda each: (each.status.name, each.gateway))


def _of_clone(path: Path) -> list[ContestOverview]:
    git = find_repository(path).git
    try:
        found = []
        for name, branch in status_branches(git, limit_s=LIMIT_S).items():
            files = files_at(git, branch.commit, limit_s=LIMIT_S, below=CONTESTS)
            statuses = [read_contest_file(body) for body in files.values()]
            found += [ContestOverview(name, status, status.figures) for status in statuses]
        return found
    finally:
        git.clear_cache()


def _of_gateway(config_path: Path) -> list[ContestOverview]:
    settings = config.read(config_path)
    with recorded_state(settings.state_dir) as state:
        statuses = [read_contest_file(body) for body in state.status_files(CONTESTS).values()]
    runs = holder(settings.state_dir) is not None
    live = ((runtime_status.read(settings.state_dir) if runs else None) or {}).get("contests", {})
    return [
        ContestOverview(
            settings.name, status, figures_from_dict(live[status.name]) if status.name in live else status.figures
        )
        for status in statuses
    ]
