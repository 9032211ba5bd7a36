# SPDX-License-Identifier: Apache-2.0
"""Trainings in the README of a status branch."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.report.training_status import TrainingStatus


def training_section(statuses: Iterable[TrainingStatus]) -> list[str]:
    """Render a table of all trainings; without one, nothing."""
    every = sorted(statuses, key=lambda status: status.name)
    if not every:
        return []
    lines = ["## Trainings", "", "| training | model | state | since (UTC) | message |", "|---|---|---|---|---|"]
    return [*lines, *(_row(status) for status in every), ""]


def _row(status: TrainingStatus) -> str:
    figures, condition = status.figures, status.ready
    message = " ".join(condition.message.split()).replace("|", "\\|")
    return f"| {status.name} | {figures.model} | {figures.state} | {condition.since:%Y-%m-%d %H:%M} | {message} |"
