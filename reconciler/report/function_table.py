# SPDX-License-Identifier: Apache-2.0
"""Functions in the README of a status branch."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.report.function_status import FunctionStatus


def function_section(statuses: Iterable[FunctionStatus]) -> list[str]:
    """Render a table of all functions; without one, nothing."""
    every = sorted(statuses, key=lambda status: status.name)
    if not every:
        return []
    lines = ["## Functions", "", "| function | operation | reason | since (UTC) | message |", "|---|---|---|---|---|"]
    return [*lines, *(_row(status) for status in every), ""]


def _row(status: FunctionStatus) -> str:
    figures, condition = status.figures, status.ready
    message = " ".join(condition.message.split()).replace("|", "\\|")
    name = f"{status.name} {figures.version}"
    return f"| {name} | {figures.operation} | {condition.reason} | {condition.since:%Y-%m-%d %H:%M} | {message} |"
