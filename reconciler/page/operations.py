# SPDX-License-Identifier: Apache-2.0
"""The operations of this node: a row for each function, with its calls and its state."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import Column, amount, ready, section, since, table
from reconciler.page.page_model import PageModel
from reconciler.report.function_status import FunctionStatus

_ALL = (
    Column("Operation", "name"),
    Column("Calls", "number"),
    Column("Failed", "number"),
    Column("State"),
    Column("Since (UTC)", "time"),
    Column("Message"),
)


def operations(fleet: PageModel) -> Markup | None:
    """Show all functions of this gateway; without one, nothing."""
    if not fleet.functions:
        return None
    rows = [_row(each, fleet) for each in sorted(fleet.functions, key=lambda each: each.name)]
    caption = "Functions that this gateway runs, and their calls since the daemon started"
    return section("Operations", "operations", element("div", table(caption, _ALL, rows), class_="card"))


def _row(status: FunctionStatus, fleet: PageModel) -> Sequence[Child]:
    figures, condition = fleet.function(status), status.ready
    provider = element("div", f"by {figures.function} {figures.version}", class_="small")
    counted = fleet.live is not None
    return (
        joined([figures.operation, provider]),
        amount(figures.calls) if counted else "-",
        amount(figures.failed) if counted else "-",
        ready(condition),
        since(condition.since, fleet),
        condition.message,
    )
