# SPDX-License-Identifier: Apache-2.0
"""Pipelines in the README of a status branch."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.report.pipeline_status import PipelineStatus


def pipeline_section(statuses: Iterable[PipelineStatus]) -> list[str]:
    """Render a table of all pipelines; without one, nothing."""
    every = sorted(statuses, key=lambda status: status.name)
    if not every:
        return []
    lines = ["## Pipelines", "", "| pipeline | model | stages | since (UTC) | message |", "|---|---|---|---|---|"]
    return [*lines, *(_row(status) for status in every), ""]


def _row(status: PipelineStatus) -> str:
    figures, condition = status.figures, status.ready
    message = " ".join(condition.message.split()).replace("|", "\\|")
    stages = len(figures.stages) or "-"
    return f"| {status.name} | {figures.model} | {stages} | {condition.since:%Y-%m-%d %H:%M} | {message} |"
