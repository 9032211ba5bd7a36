# SPDX-License-Identifier: Apache-2.0
"""Models: the six phases of each as a ring, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.charts import ring
from reconciler.page.html import Child, Markup, element
from reconciler.page.layout import Column, ready, section, since, table
from reconciler.page.page_model import PageModel, Urgency, urgency_of
from reconciler.report.conditions import Condition, Status
from reconciler.report.model_status import ModelStatus

_ALL = (Column("Model"), Column("Phases"), Column("State"), Column("Since (UTC)", "time"), Column("Message"))
_PHASES = (Column("Phase"), Column("State"), Column("Since (UTC)", "time"), Column("Message"))


def models(fleet: PageModel) -> Markup | None:
    """Show all models of the gateway; without a status, nothing."""
    if not fleet.models:
        return None
    rows = [_row(each, fleet) for each in sorted(fleet.models, key=lambda each: each.model)]
    card = element("div", table("Models that rollouts and contests name", _ALL, rows), class_="card")
    return section("Models", "models", card)


def phases(status: ModelStatus, fleet: PageModel) -> Markup:
    """Show the phases of one model."""
    rows = [(each.type, ready(each), since(each.since, fleet), each.message) for each in status.conditions[1:]]
    return element("div", _ring(status), table(f"Phases of {status.model}", _PHASES, rows))


def _row(status: ModelStatus, fleet: PageModel) -> Sequence[Child]:
    condition = status.ready
    return status.model, _ring(status), ready(condition), since(condition.since, fleet), condition.message


def _ring(status: ModelStatus) -> Markup:
    parts = status.conditions[1:]
    done = [each.type for each in parts if each.status is Status.TRUE]
    label = f"{len(done)} of {len(parts)} phases are done: {', '.join(done) or 'none'}"
    return ring([_urgency(each) for each in parts], label)


def _urgency(condition: Condition) -> Urgency:
    """A phase that has not begun yet is not a reason to act."""
    return Urgency.WAIT if condition.status is Status.UNKNOWN else urgency_of(condition)
