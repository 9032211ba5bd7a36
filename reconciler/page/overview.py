# SPDX-License-Identifier: Apache-2.0
"""The first page: how the fleet stands at a glance, then what is stuck, rollouts, links and scores."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.charts import stacked
from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import DIGITS, amount, counted, document, ready
from reconciler.page.links import links
from reconciler.page.needs_attention import stuck, waiting
from reconciler.page.page_model import Mood, PageModel, moods
from reconciler.page.rollouts import rollouts
from reconciler.page.scores import scores
from reconciler.page.urls import Addresses

HERE = "Overview"
_WORDS = {Mood.GOOD: "where Git wants them", Mood.WAIT: "on their way, or waiting", Mood.ACT: "need somebody"}


def overview(fleet: PageModel, at: Addresses) -> bytes:
    """Draw the page."""
    name = fleet.gateway.name if fleet.gateway is not None else "gateway"
    main: list[Child] = [
        element("h1", "How the fleet stands"),
        _headline(fleet),
        _state(fleet, at),
        stuck(fleet, at),
        rollouts(fleet, at),
        waiting(fleet, at),
    ]
    if fleet.present is not None:
        main += [links(fleet.present.links), scores(fleet.present.scores)]
    return document(name, fleet, at, main, HERE)


def _headline(fleet: PageModel) -> Markup:
    gateway = fleet.gateway
    if gateway is None:
        return element("p", "This gateway has told nothing yet.", class_="lede")
    commit = gateway.commit[:DIGITS]
    enforced = element("code", commit) if commit else "no commit yet"
    return joined(
        [
            element("p", ready(gateway.ready), " ", gateway.ready.message, class_="lede"),
            element("p", "Enforces ", enforced, class_="soft small"),
        ]
    )


def _state(fleet: PageModel, at: Addresses) -> Markup:
    found = moods(fleet.devices)
    total = len(fleet.devices)
    words = ", ".join(f"{amount(number)} {_WORDS[mood]}" for mood, number in found.items())
    where = at.devices()
    every: Child = counted(total, "device", "devices")
    return element(
        "div",
        element(
            "p", f"{amount(found[Mood.GOOD])} of ", element("a", every, href=where) if where else every,
            " where Git wants them" if total != 1 else " where Git wants it", class_="big",
        ),
        stacked(list(found.items()), f"Of all devices, {words}"),
        element("ul", *_legend(found), class_="legend"),
        _under_way(fleet),
        class_="card state",
    )  # fmt: skip


def _legend(found: dict[Mood, int]) -> Iterator[Markup]:
    for mood, number in found.items():
        dot = element("span", class_=f"dot {mood}", aria_hidden="true")
        yield element("li", dot, element("b", amount(number)), f" {_WORDS[mood]}")


def _under_way(fleet: PageModel) -> Markup | None:
    present = fleet.present
    if present is None or not (present.in_progress_count or present.waiting_count or present.building):
        return None
    told = []
    if present.in_progress_count:
        told.append(f"{counted(present.in_progress_count, 'update', 'updates')} under way")
    if present.waiting_count:
        told.append(f"{counted(present.waiting_count, 'device', 'devices')} to be tried again")
    if present.building:
        told.append(f"building {', '.join(present.building)}")
    return element("p", "At this moment: ", "; ".join(told), ".", class_="soft small")
