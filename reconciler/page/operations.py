# SPDX-License-Identifier: Apache-2.0
"""This gateway as a node: a row for each function, with its calls and its state, and one for each bucket."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import Column, amount, ready, section, since, table
from reconciler.page.page_model import PageModel
from reconciler.report.function_status import FunctionStatus
from reconciler.report.gateway_status import OF_NODES

_ALL = (
    Column("Operation", "name"),
    Column("Calls", "number"),
    Column("Failed", "number"),
    Column("State"),
    Column("Since (UTC)", "time"),
    Column("Message"),
)
_BUCKETS = (Column("Bucket", "name"), Column("Items", "number"), Column("Bytes", "number"))


def operations(fleet: PageModel) -> Markup | None:
    """Show this gateway as a node: its state, its functions, and its local storage; if it is none, nothing."""
    conditions = fleet.gateway.conditions if fleet.gateway is not None else ()
    states = [each for each in conditions if each.type in OF_NODES]
    if not states and not fleet.functions:
        return None
    content: list[Child] = [element("p", ready(each), " ", each.message) for each in states]
    if fleet.functions:
        rows = [_row(each, fleet) for each in sorted(fleet.functions, key=lambda each: each.name)]
        caption = "Functions that this gateway runs, and their calls since the daemon started"
        content.append(element("div", table(caption, _ALL, rows), class_="card"))
    if fleet.live is not None and fleet.live.buckets:
        stored = [(each.name, amount(each.items), amount(each.bytes)) for each in fleet.live.buckets]
        content.append(element("div", table("Buckets of the local storage", _BUCKETS, stored), class_="card"))
    return section("Operations", "operations", *content)


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
