# SPDX-License-Identifier: Apache-2.0
"""One device: its conditions with what to do, and what it said last."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import (
    DIGITS,
    NONE,
    Column,
    advice,
    document,
    pairs,
    ready,
    section,
    since,
    since_line,
    stamp,
    table,
)
from reconciler.page.page_model import Detail, PageModel
from reconciler.page.urls import Addresses
from reconciler.report.conditions import Status

_CONDITIONS = (
    Column("Condition"), Column("Status"), Column("Reason"), Column("Since (UTC)", "time"), Column("What is known"),
)  # fmt: skip


def device(detail: Detail, fleet: PageModel, at: Addresses) -> bytes:
    """Draw the page."""
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
        advice(condition.reason) if condition.status is not Status.TRUE else None,
        section("Conditions", "conditions", element("div", table("In their order", _CONDITIONS, rows), class_="card")),
        section("What it said last", "said", element("div", pairs(_facts(detail, fleet, at)), class_="card")),
    ]
    return document(str(status.device), fleet, at, main)


def _facts(detail: Detail, fleet: PageModel, at: Addresses) -> Iterator[tuple[str, Child]]:
    status = detail.status
    rollout = fleet.owners.get(status.device)
    yield "rollout", element("a", rollout, href=at.rollout(rollout)) if rollout is not None else NONE
    yield "model", status.model or NONE
    yield "running", element("code", status.running[:DIGITS]) if status.running else NONE
    yield "phase", status.phase.value if status.phase is not None else NONE
    yield "sequence", status.sequence
    yield "seen", _seen(detail)
    if fleet.present is not None:
        if (label := fleet.present.in_progress.get(status.device)) is not None:
            yield "under way", label
        if (why := fleet.present.waiting.get(status.device)) is not None:
            yield "will be tried again", why
    yield from detail.facts
    for digest, why in detail.failed.items():
        yield "failed here", joined([element("code", digest[:DIGITS]), f": {why}"])


def _seen(detail: Detail) -> Markup | str:
    return joined([stamp(detail.seen_at, seconds=True), " UTC"]) if detail.seen_at is not None else "never"
