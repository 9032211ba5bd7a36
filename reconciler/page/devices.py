# SPDX-License-Identifier: Apache-2.0
"""The list of devices, a hundred per page; the query string filters and sorts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from reconciler.model import DeviceId, RolloutId
from reconciler.page.html import Child, Markup, element
from reconciler.page.layout import NONE, Column, amount, amount_of, document, ready, since, table
from reconciler.page.page_model import PageModel, Urgency, urgency_of
from reconciler.page.urls import EVERY, SORTS, PageUrls, Query
from reconciler.report.device_status import DeviceStatus
from reconciler.review.formatting import short

HERE = "Devices"
PER_PAGE = 100
_COLUMNS = (
    Column("Device"),
    Column("Model", "name"),
    Column("State"),
    Column("Since (UTC)", "time"),
    Column("Rollout", "name"),
    Column("Message"),
)
_SORT_NAMES = {"state": "Needs attention first", "name": "Name", "model": "Model", "since": "Longest in this state"}
_RANK = {Urgency.ACT: 0, Urgency.WAIT: 1, Urgency.GOOD: 2}


def devices(fleet: PageModel, at: PageUrls, query: Query = EVERY) -> bytes:
    """Render one page of the list."""
    of = fleet.owners
    found = sorted(_matching(fleet.devices, query, of), key=_order(query.sort))
    pages = pages_of(len(found))
    query = query.on(min(query.page, pages))
    first = (query.page - 1) * PER_PAGE
    rows = [_row(each, of.get(each.device), fleet, at) for each in found[first : first + PER_PAGE]]
    caption = f"{amount(first + 1)} to {amount(first + len(rows))} of {amount_of(len(found), 'device')}"
    shown = table(caption, _COLUMNS, rows) if rows else element("p", "No device matches.", class_="soft")
    main = [
        element("h1", "Devices"),
        _form(fleet, query, of) if at.accepts_queries else None,
        element("div", shown, class_="card"),
        _pages(at, query, pages),
    ]
    return document("Devices", fleet, at, main, HERE)


def pages_of(number: int) -> int:
    """Return the number of pages for a number of devices."""
    return max(1, -(-number // PER_PAGE))


def _matching(every: Iterable[DeviceStatus], query: Query, of: Mapping[DeviceId, RolloutId]) -> Iterator[DeviceStatus]:
    part = query.name.casefold()
    for each in every:
        if query.reason and each.ready.reason != query.reason:
            continue
        if query.rollout and of.get(each.device) != query.rollout:
            continue
        if part in each.device.casefold():
            yield each


def _order(sort: str) -> Callable[[DeviceStatus], tuple[object, ...]]:
    if sort == "since":
        return lambda each: (each.ready.since, each.device)
    if sort == "model":
        return lambda each: (each.model or each.running or "", each.device)
    if sort == "name":
        return lambda each: (each.device,)
    rank: dict[str, int] = {}

    def by_state(each: DeviceStatus) -> tuple[object, ...]:
        reason = each.ready.reason
        if reason not in rank:
            rank[reason] = _RANK[urgency_of(each.ready)]
        return rank[reason], reason, each.device

    return by_state


def _row(each: DeviceStatus, rollout: RolloutId | None, fleet: PageModel, at: PageUrls) -> Sequence[Child]:
    return (
        element("a", each.device, href=at.device(each.device)),
        each.model or (element("code", short(each.running)) if each.running else NONE),
        ready(each.ready),
        since(each.ready.since, fleet),
        element("a", rollout, href=at.rollout(rollout)) if rollout is not None else NONE,
        each.ready.message,
    )


def _form(fleet: PageModel, query: Query, of: Mapping[DeviceId, RolloutId]) -> Markup:
    reasons = Counter(each.ready.reason for each in fleet.devices)
    rollouts = Counter(of.values())
    every = {"": "All"}
    return element(
        "form",
        _choice(
            "State", "reason", query.reason, every | {name: f"{name} ({n})" for name, n in sorted(reasons.items())}
        ),
        _choice("Rollout", "rollout", query.rollout, every | {str(name): str(name) for name in sorted(rollouts)}),
        element(
            "div",
            element("label", "Name contains", for_="name"),
            element("input", type="search", id="name", name="name", value=query.name, maxlength=100),
        ),
        _choice("Sort by", "sort", query.sort, {name: _SORT_NAMES[name] for name in SORTS}),
        element("button", "Show", type="submit"),
        method="get",
        action="/devices",
        role="search",
        aria_label="Devices",
    )


def _choice(label: str, name: str, chosen: str, options: Mapping[str, str]) -> Markup:
    if chosen not in options:
        options = {**options, chosen: chosen}
    drawn = [element("option", text, value=value, selected=value == chosen) for value, text in options.items()]
    return element("div", element("label", label, for_=name), element("select", *drawn, id=name, name=name))


def _pages(at: PageUrls, query: Query, pages: int) -> Markup | None:
    if pages == 1:
        return None

    def to(page: int, text: str) -> Markup | None:
        url = at.devices(query.on(page))
        return element("a", text, href=url) if 1 <= page <= pages and page != query.page and url else None

    first, last = (to(1, "First"), to(pages, "Last"))
    place = element("span", f"Page {amount(query.page)} of {amount(pages)}", aria_current="page", class_="soft")
    before, after = to(query.page - 1, "Previous"), to(query.page + 1, "Next")
    return element("nav", first, before, place, after, last, aria_label="Pages of the list", class_="pages")
