# SPDX-License-Identifier: Apache-2.0
"""Contests in the README of a status branch."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.report.contest_status import ContestStatus


def contest_section(statuses: Iterable[ContestStatus]) -> list[str]:
    """Render a table of all contests; without one, nothing."""
    every = sorted(statuses, key=lambda status: status.name)
    if not every:
        return []
    lines = ["## Contests", "", "| contest | champion | state | since (UTC) | message |", "|---|---|---|---|---|"]
    return [*lines, *(_row(status) for status in every), ""]


def _row(status: ContestStatus) -> str:
    figures = status.figures
    proposed = next((each for each in status.conditions if each.reason == "Open"), None)
    condition = proposed or status.ready  # a branch that waits for a person comes first
    message = " ".join(condition.message.split()).replace("|", "\\|")
    return f"| {status.name} | {figures.champion} | {figures.state} | {condition.since:%Y-%m-%d %H:%M} | {message} |"
