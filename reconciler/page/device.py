# SPDX-License-Identifier: Apache-2.0
"""The page of one device: its conditions with remedies, and its last report."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import (
    NONE,
    Column,
    document,
    pairs,
    ready,
    remedy,
    section,
    since,
    since_line,
    stamp,
    table,
)
from reconciler.page.page_model import DeviceDetail, PageModel
from reconciler.page.urls import PageUrls
from reconciler.report.conditions import Status
from reconciler.review.formatting import short

_CONDITIONS = (
    Column("Condition"), Column("Status"), Column("Reason"), Column("Since (UTC)", "time"), Column("Message"),
)  # fmt: skip


def device(detail: DeviceDetail, fleet: PageModel, at: PageUrls) -> bytes:
    """Render the page."""
    status = detail.status
    condition = status.ready
    rows = [
        (each.type, each.status.value, ready(each), since(each.since, fleet), each.message)
        for each in status.conditions[1:]
    ]
    main = [
        element("h1", status.device),
        element("p", ready(condition), " ", condition.message, class_="lede"),
        since_line(condition.since, fleet),
        remedy(condition.reason) if condition.status is not Status.TRUE else None,
        section(
            "Conditions", "conditions", element("div", table("Conditions, in order", _CONDITIONS, rows), class_="card")
        ),
        section("Last report", "report", element("div", pairs(_facts(detail, fleet, at)), class_="card")),
    ]
    return document(str(status.device), fleet, at, main)


def _facts(detail: DeviceDetail, fleet: PageModel, at: PageUrls) -> Iterator[tuple[str, Child]]:
    status = detail.status
    rollout = fleet.owners.get(status.device)
    yield "rollout", element("a", rollout, href=at.rollout(rollout)) if rollout is not None else NONE
    if status.cohort is not None:
        yield "cohort", status.cohort
    yield "model", status.model or NONE
    yield "running", element("code", short(status.running)) if status.running else NONE
    yield "phase", status.phase.value if status.phase is not None else NONE
    yield "sequence", status.sequence
    yield "seen", _seen(detail)
    if fleet.live is not None:
        if (label := fleet.live.in_progress.get(status.device)) is not None:
            yield "in progress", label
        if (why := fleet.live.waiting.get(status.device)) is not None:
            yield "waiting to retry", why
    yield from detail.facts
    for digest, why in detail.failed.items():
        yield "failed", joined([element("code", short(digest)), f": {why}"])


def _seen(detail: DeviceDetail) -> Markup | str:
    return joined([stamp(detail.seen_at, seconds=True), " UTC"]) if detail.seen_at is not None else "never"
