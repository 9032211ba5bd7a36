# SPDX-License-Identifier: Apache-2.0
"""Functions as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from reconciler.cli.inputs.status_overviews import FunctionOverview
from reconciler.cli.views.contest_text import plain_table
from reconciler.report.conditions import Status
from reconciler.report.function_status import FunctionFigures
from reconciler.review.formatting import ago


def listed_functions(found: Sequence[FunctionOverview]) -> RenderableType:
    """Show all functions."""
    if not found:
        return Text("no functions")
    table = plain_table("FUNCTION", "GATEWAY", "OPERATION", "VERSION", "CALLS", "READY", "MESSAGE")
    for each in found:
        figures, ready = each.figures, each.status.ready
        table.add_row(
            figures.function, each.gateway, figures.operation, figures.version, _calls(figures), ready.reason,
            Text(ready.message),
        )  # fmt: skip
    return table


def shown_function(each: FunctionOverview, now: datetime) -> Iterator[RenderableType]:
    """Show one function at one gateway."""
    figures = each.figures
    yield Text.assemble((figures.function, "bold"), f"  {figures.version}  {figures.operation}")
    facts = plain_table("", "")
    facts.add_row("gateway", each.gateway)
    facts.add_row("calls", _calls(figures))
    yield facts
    yield Text()
    conditions = plain_table("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")
    for condition in each.status.conditions[1:]:
        style = "" if condition.status is Status.TRUE else "yellow"
        status = Text(condition.status.value, style)
        conditions.add_row(condition.type, status, condition.reason, ago(condition.since, now), Text(condition.message))
    yield conditions


def _calls(figures: FunctionFigures) -> str:
    return f"{figures.calls:,}, {figures.failed:,} failed" if figures.failed else f"{figures.calls:,}"
