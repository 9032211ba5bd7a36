# SPDX-License-Identifier: Apache-2.0
"""What is stuck and why, since when, and what to do: what somebody has to act on first."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import Column, advice, amount, counted, pill, section, since, since_line, table
from reconciler.page.page_model import Mood, PageModel, Reason, mood_of, reasons
from reconciler.page.urls import Addresses, Query
from reconciler.report.conditions import Condition, Status

SHOWN = 5  # devices of one reason; when there is no list of all, more
SHOWN_ALONE = 50
_CARD = {mood: "card trouble" if mood is Mood.ACT else "card trouble waits" for mood in Mood}
_COLUMNS = (Column("Device", "name"), Column("Since (UTC)", "time"), Column("What is known"))


def stuck(fleet: PageModel, at: Addresses) -> Markup:
    """Tell of everything that is not as Git says."""
    found = [
        *_gateway(fleet),
        *_rollouts(fleet, at),
        *_devices([each for each in reasons(fleet.devices) if each.mood is Mood.ACT], fleet, at),
        *_moment(fleet),
    ]
    nothing = element("p", "Nothing needs anybody.", class_="soft")
    return section("What is stuck, and what to do", "stuck", element("div", *(found or [nothing]), class_="stack"))


def waiting(fleet: PageModel, at: Addresses) -> Markup | None:
    """Tell of what is not where it shall be, and needs nobody."""
    found = list(_devices([each for each in reasons(fleet.devices) if each.mood is Mood.WAIT], fleet, at))
    if not found:
        return None
    return section("On its way, or waiting", "waiting", element("div", *found, class_="stack"))


def _gateway(fleet: PageModel) -> Iterator[Markup]:
    conditions = fleet.gateway.conditions[1:] if fleet.gateway is not None else ()
    for each in conditions:
        if each.status is not Status.TRUE:
            yield _condition("The gateway", each, fleet)


def _rollouts(fleet: PageModel, at: Addresses) -> Iterator[Markup]:
    for status in fleet.rollouts:
        name = status.facts.rollout
        for each in status.conditions[1:]:
            if mood_of(each) is Mood.ACT:
                link = element("a", name, href=at.rollout(name))
                yield _condition(joined(["Rollout ", link]), each, fleet)


def _condition(what: Child, condition: Condition, fleet: PageModel) -> Markup:
    mood = mood_of(condition)
    return element(
        "article",
        element("h3", what, pill(condition.reason, mood)),
        element("p", condition.message),
        since_line(condition.since, fleet),
        advice(condition.reason),
        class_=_CARD[mood],
    )


def _devices(found: list[Reason], fleet: PageModel, at: Addresses) -> Iterator[Markup]:
    for each in found:
        more = at.devices(Query(reason=each.name))
        shown = SHOWN if more is not None else SHOWN_ALONE
        rows = [
            (
                element("a", device.device, href=at.device(device.device)),
                since(device.ready.since, fleet),
                device.ready.message,
            )
            for device in each.devices[:shown]
        ]
        number = len(each.devices)
        oldest = f"The {shown} that have been so longest" if number > shown else "All of them"
        yield element(
            "article",
            element("h3", counted(number, "device", "devices"), pill(each.name, each.mood)),
            advice(each.name),
            table(oldest, _COLUMNS, rows),
            _rest(each, number - shown, more),
            class_=_CARD[each.mood],
        )


def _rest(each: Reason, rest: int, more: str | None) -> Markup | None:
    if rest <= 0:
        return None
    if more is None:
        return element("p", f"and {amount(rest)} more, in devices/", class_="soft small")
    return element("p", element("a", f"All {amount(len(each.devices))} with {each.name}", href=more))


def _moment(fleet: PageModel) -> Iterator[Markup]:
    """Tell what only the daemon's memory knows."""
    present = fleet.present
    if present is None:
        return
    for what, why in sorted(present.build_failures.items()):
        yield _plain(f"{what} can't be built", why, "correct the model, or what its message names, in Git.")
    for name, (count, why) in sorted(present.refused.items()):
        times = counted(count, "message", "messages")
        yield _plain(f"{times} in the name of {name} did not verify", why, "find out who speaks in its name.")


def _plain(what: str, why: str, do: str) -> Markup:
    return element(
        "article",
        element("h3", what),
        element("p", why),
        element("p", element("b", "What to do: "), do, class_="advice soft"),
        class_="card trouble",
    )
