# SPDX-License-Identifier: Apache-2.0
"""The first page: the state of the fleet, what needs attention, rollouts, links and scores."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.charts import stacked_bar
from reconciler.page.cohorts import cohorts
from reconciler.page.contests import contests
from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import amount, amount_of, document, ready
from reconciler.page.links import links
from reconciler.page.models import models
from reconciler.page.needs_attention import needs_attention, waiting
from reconciler.page.operations import operations
from reconciler.page.page_model import PageModel, Urgency, count_by_urgency
from reconciler.page.pipelines import pipelines
from reconciler.page.rollouts import rollouts
from reconciler.page.scores import scores
from reconciler.page.trainings import trainings
from reconciler.page.urls import PageUrls
from reconciler.review.formatting import short

HERE = "Overview"
_LABELS = {Urgency.GOOD: "ready", Urgency.WAIT: "in progress or waiting", Urgency.ACT: "need attention"}


def overview(fleet: PageModel, at: PageUrls) -> bytes:
    """Render the page."""
    name = fleet.gateway.name if fleet.gateway is not None else "gateway"
    main: list[Child] = [
        element("h1", "Fleet status"),
        _headline(fleet),
        _state(fleet, at),
        needs_attention(fleet, at),
        rollouts(fleet, at),
        cohorts(fleet),
        contests(fleet, at),
        trainings(fleet, at),
        pipelines(fleet),
        operations(fleet),
        models(fleet),
        waiting(fleet, at),
    ]
    if fleet.live is not None:
        main += [links(fleet.live.links), scores(fleet.live.scores)]
    return document(name, fleet, at, main, HERE)


def _headline(fleet: PageModel) -> Markup:
    gateway = fleet.gateway
    if gateway is None:
        return element("p", "This gateway has not reported yet.", class_="lede")
    enforced = element("code", short(gateway.commit)) if gateway.commit else "no commit yet"
    return joined(
        [
            element("p", ready(gateway.ready), " ", gateway.ready.message, class_="lede"),
            element("p", "Enforces ", enforced, class_="soft small"),
        ]
    )


def _state(fleet: PageModel, at: PageUrls) -> Markup:
    found = count_by_urgency(fleet.devices)
    total = len(fleet.devices)
    summary = ", ".join(f"{amount(number)} {_LABELS[urgency]}" for urgency, number in found.items())
    url = at.devices()
    every: Child = amount_of(total, "device")
    return element(
        "div",
        element(
            "p", f"{amount(found[Urgency.GOOD])} of ", element("a", every, href=url) if url else every, " ready",
            class_="big",
        ),
        stacked_bar(list(found.items()), f"Of all devices, {summary}"),
        element("ul", *_legend(found), class_="legend"),
        _activity(fleet),
        class_="card state",
    )  # fmt: skip


def _legend(found: dict[Urgency, int]) -> Iterator[Markup]:
    for urgency, number in found.items():
        dot = element("span", class_=f"dot {urgency}", aria_hidden="true")
        yield element("li", dot, element("b", amount(number)), f" {_LABELS[urgency]}")


def _activity(fleet: PageModel) -> Markup | None:
    live = fleet.live
    if live is None or not (live.in_progress_count or live.waiting_count or live.building):
        return None
    parts = []
    if live.in_progress_count:
        parts.append(f"{amount_of(live.in_progress_count, 'update')} in progress")
    if live.waiting_count:
        parts.append(f"{amount_of(live.waiting_count, 'device')} waiting to retry")
    if live.building:
        parts.append(f"building {', '.join(live.building)}")
    return element("p", "Now: ", "; ".join(parts), ".", class_="soft small")
