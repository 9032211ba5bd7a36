# SPDX-License-Identifier: Apache-2.0
"""What needs attention: what is stuck and why, since when, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import Column, amount, amount_of, pill, remedy, section, since, since_line, table
from reconciler.page.page_model import PageModel, Reason, Urgency, reasons, urgency_of
from reconciler.page.urls import PageUrls, Query
from reconciler.report.conditions import Condition, Status
from reconciler.report.remedies import REMEDIES

SHOWN = 5  # devices for each reason
REVIEW = "review and merge the branch, or remove it."
SHOWN_WITHOUT_LIST = 50  # if there is no page with the list of all
_CARD = {each: "card trouble" if each is Urgency.ACT else "card trouble waits" for each in Urgency}
_COLUMNS = (Column("Device", "name"), Column("Since (UTC)", "time"), Column("Message"))


def needs_attention(fleet: PageModel, at: PageUrls) -> Markup:
    """List the gateway, rollouts and devices that someone must act on."""
    found = [
        *_gateway(fleet),
        *_rollouts(fleet, at),
        *_contests(fleet, at),
        *_trainings(fleet),
        *_pipelines(fleet),
        *_functions(fleet),
        *_devices([each for each in reasons(fleet.devices) if each.urgency is Urgency.ACT], fleet, at),
        *_live(fleet),
    ]
    nothing = element("p", "Nothing needs attention.", class_="soft")
    return section("Needs attention", "attention", element("div", *(found or [nothing]), class_="stack"))


def waiting(fleet: PageModel, at: PageUrls) -> Markup | None:
    """List the devices that are not ready but need no action."""
    found = list(_devices([each for each in reasons(fleet.devices) if each.urgency is Urgency.WAIT], fleet, at))
    if not found:
        return None
    return section("In progress or waiting", "waiting", element("div", *found, class_="stack"))


def _gateway(fleet: PageModel) -> Iterator[Markup]:
    conditions = fleet.gateway.conditions[1:] if fleet.gateway is not None else ()
    for each in conditions:
        if each.status is not Status.TRUE:
            yield _condition("The gateway", each, fleet)


def _rollouts(fleet: PageModel, at: PageUrls) -> Iterator[Markup]:
    for status in fleet.rollouts:
        name = status.facts.rollout
        for each in status.conditions[1:]:
            if urgency_of(each) is Urgency.ACT:
                link = element("a", name, href=at.rollout(name))
                yield _condition(joined(["Rollout ", link]), each, fleet)


def _contests(fleet: PageModel, at: PageUrls) -> Iterator[Markup]:
    for status in fleet.contests:
        link = element("a", status.name, href=at.contest(status.name))
        for each in status.conditions[1:]:
            if each.reason == "Open":
                yield _plain(joined(["Contest ", link]), each.message, REVIEW)
            elif urgency_of(each) is Urgency.ACT:
                yield _condition(joined(["Contest ", link]), each, fleet)


def _trainings(fleet: PageModel) -> Iterator[Markup]:
    for status in sorted(fleet.trainings, key=lambda each: each.name):
        for each in status.conditions[1:]:
            if each.reason == "Open":
                yield _plain(f"Training {status.name}", each.message, REVIEW)
            elif urgency_of(each) is Urgency.ACT:
                yield _condition(f"Training {status.name}", each, fleet)


def _pipelines(fleet: PageModel) -> Iterator[Markup]:
    for status in sorted(fleet.pipelines, key=lambda each: each.name):
        if urgency_of(status.ready) is Urgency.ACT:
            yield _condition(f"Pipeline {status.name}", status.ready, fleet)


def _functions(fleet: PageModel) -> Iterator[Markup]:
    for status in sorted(fleet.functions, key=lambda each: each.name):
        for each in status.conditions[1:]:
            if each.status is Status.FALSE:
                yield _condition(f"Function {status.name}", each, fleet)


def _condition(subject: Child, condition: Condition, fleet: PageModel) -> Markup:
    urgency = urgency_of(condition)
    return element(
        "article",
        element("h3", subject, pill(condition.reason, urgency)),
        element("p", condition.message),
        since_line(condition.since, fleet),
        remedy(condition.reason),
        class_=_CARD[urgency],
    )


def _devices(found: list[Reason], fleet: PageModel, at: PageUrls) -> Iterator[Markup]:
    for each in found:
        more = at.devices(Query(reason=each.name))
        shown = SHOWN if more is not None else SHOWN_WITHOUT_LIST
        rows = [
            (
                element("a", device.device, href=at.device(device.device)),
                since(device.ready.since, fleet),
                device.ready.message,
            )
            for device in each.devices[:shown]
        ]
        number = len(each.devices)
        caption = f"The {shown} longest affected" if number > shown else "All of them"
        yield element(
            "article",
            element("h3", amount_of(number, "device"), pill(each.name, each.urgency)),
            remedy(each.name),
            table(caption, _COLUMNS, rows),
            _rest(each, number - shown, more),
            class_=_CARD[each.urgency],
        )


def _rest(each: Reason, rest: int, more: str | None) -> Markup | None:
    if rest <= 0:
        return None
    if more is None:
        return element("p", f"and {amount(rest)} more, in devices/", class_="soft small")
    return element("p", element("a", f"All {amount(len(each.devices))} with {each.name}", href=more))


def _live(fleet: PageModel) -> Iterator[Markup]:
    """List what only the running daemon knows."""
    live = fleet.live
    if live is None:
        return
    for target, (reason, message) in sorted(live.build_failures.items()):
        yield _plain(f"Build of {target} failed", message, f"{REMEDIES[reason].text}.")
    for name, (count, message) in sorted(live.refused.items()):
        messages = amount_of(count, "message")
        yield _plain(
            f"{messages} in the name of {name} failed verification", message, "find out who sends in its name."
        )


def _plain(title: Child, message: str, action: str) -> Markup:
    return element(
        "article",
        element("h3", title),
        element("p", message),
        element("p", element("b", "What to do: "), action, class_="advice soft"),
        class_="card trouble",
    )
