# SPDX-License-Identifier: Apache-2.0
"""Cohorts: the devices with each value of the label that the fleet declares, as a table of bounded size."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.page.html import Child, Markup, element
from reconciler.page.layout import NONE, Column, amount, section, table
from reconciler.page.page_model import PageModel, Urgency, count_by_urgency
from reconciler.report.cohorts import MAX_COHORTS, Cohorts, cohorts_of, in_order
from reconciler.report.device_status import DeviceStatus

_COLUMNS = (
    Column("Cohort", "name"),
    Column("Devices", "number"),
    Column("Ready", "number"),
    Column("Need attention", "number"),
)
_PER_DAY = Column("Anomalies a day on each", "number")


def cohorts(fleet: PageModel) -> Markup | None:
    """Show all cohorts; if the fleet declares no label for them, nothing."""
    found = cohorts_of(fleet.gateway, fleet.devices)
    if found is None:
        return None
    members: dict[str, list[DeviceStatus]] = {}
    for each in fleet.devices:
        members.setdefault(found.of[each.device], []).append(each)
    columns = _COLUMNS if fleet.live is None else (*_COLUMNS, _PER_DAY)
    rows = [_row(name, members[name], fleet) for name in in_order(members)]
    return section("Cohorts", "cohorts", element("div", table(_caption(found), columns, rows), class_="card"))


def _row(name: str, devices: Sequence[DeviceStatus], fleet: PageModel) -> Sequence[Child]:
    counts = count_by_urgency(devices)
    cells = (name, amount(len(devices)), amount(counts[Urgency.GOOD]), amount(counts[Urgency.ACT]))
    return cells if fleet.live is None else (*cells, _per_day(fleet, name))


def _per_day(fleet: PageModel, name: str) -> str:
    facts = fleet.live.cohorts.get(name) if fleet.live is not None else None
    rate = facts.anomalies_per_day if facts is not None else None
    return f"{rate:.2f}" if rate is not None else NONE


def _caption(found: Cohorts) -> Markup:
    more = f"; the {MAX_COHORTS} largest of {amount(found.values)}" if found.values > MAX_COHORTS else ""
    return element("span", "Devices by their label ", element("code", found.label), more)
