# SPDX-License-Identifier: Apache-2.0
"""Rollouts: a row for each, the waves of those that are not complete, and a page for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.model import DeviceId
from reconciler.page.charts import progress_bar
from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import Column, amount, document, pill, ready, remedy, section, since, since_line, table
from reconciler.page.page_model import PageModel, Urgency, members
from reconciler.page.urls import PageUrls, Query
from reconciler.report.conditions import Status
from reconciler.report.device_status import DeviceStatus
from reconciler.report.rollout_status import RolloutStatus, WaveFacts
from reconciler.review.rollout_state import RolloutState, state_of

SHOWN = 100  # devices of one set on a rollout's page
_URGENCY = {
    RolloutState.COMPLETE: Urgency.GOOD,
    RolloutState.STOPPED: Urgency.ACT,
    RolloutState.ROLLED_BACK: Urgency.ACT,
}
_ALL = (
    Column("Rollout"),
    Column("Model", "name"),
    Column("State"),
    Column("Done", "done"),
    Column("Since (UTC)", "time"),
    Column("Message"),
)
_WAVES = (
    Column("Wave"),
    Column("Done", "done"),
    *(Column(name, "number") for name in ("At risk", "To go", "Failed", "Missing")),
    Column("State"),
)
_SETS = {
    "failed": "Failed",
    "missing": "Missing: not reporting",
    "out": "Can never run it",
    "begun": "In progress or on trial",
    "soaking": "Soaking",
    "due": "Not started",
    "done": "Done",
}


def rollouts(fleet: PageModel, at: PageUrls) -> Markup:
    """Show all rollouts."""
    every = sorted(fleet.rollouts, key=lambda each: (state_of(each) is RolloutState.COMPLETE, each.facts.rollout))
    if not every:
        return section(
            "Rollouts", "rollouts", element("p", "No rollout selects a device of this gateway.", class_="soft")
        )
    rows = [_row(each, fleet, at) for each in every]
    in_progress = [each for each in every if not each.facts.complete and len(each.facts.waves) > 1]
    detailed = [element("div", _waves(each), class_="card") for each in in_progress]
    first = element("div", table("Rollouts with devices of this gateway", _ALL, rows), class_="card")
    return section("Rollouts", "rollouts", element("div", first, *detailed, class_="stack"))


def rollout(status: RolloutStatus, fleet: PageModel, at: PageUrls) -> bytes:
    """Render the page of one rollout."""
    facts = status.facts
    known = {device.device: device for device in fleet.devices}
    condition = status.ready
    help_text = remedy(condition.reason) if condition.status is not Status.TRUE else None
    main = [
        element("h1", facts.rollout),
        element("p", _state(status), f" {facts.model}. ", condition.message, class_="lede"),
        since_line(condition.since, fleet),
        help_text,
        section("Waves", "waves", element("div", _waves(status), class_="card")),
        *_sets(status, known, fleet, at),
    ]
    return document(str(facts.rollout), fleet, at, main)


def _row(status: RolloutStatus, fleet: PageModel, at: PageUrls) -> Sequence[Child]:
    facts = status.facts
    done, total = sum(wave.done for wave in facts.waves), sum(wave.devices for wave in facts.waves)
    return (
        element("a", facts.rollout, href=at.rollout(facts.rollout)),
        facts.model,
        _state(status),
        _done(done, total, _urgency(status)),
        since(status.ready.since, fleet),
        status.ready.message,
    )


def _urgency(status: RolloutStatus) -> Urgency:
    return _URGENCY.get(state_of(status), Urgency.WAIT)


def _state(status: RolloutStatus) -> Markup:
    return pill(state_of(status).text, _urgency(status))


def _done(done: int, total: int, urgency: Urgency) -> Markup:
    figures = element("span", f"{amount(done)} of {amount(total)}", class_="figure")
    return joined([figures, progress_bar(done, total, urgency)])


def _waves(status: RolloutStatus) -> Markup:
    rows = [_wave(number, wave) for number, wave in enumerate(status.facts.waves, start=1)]
    return table(f"Waves of {status.facts.rollout}, over all gateways", _WAVES, rows)


def _wave(number: int, wave: WaveFacts) -> Sequence[Child]:
    complete = bool(wave.devices) and wave.done == wave.devices
    state = "complete" if complete else "open" if wave.open else "pending"
    urgency = Urgency.GOOD if complete else Urgency.WAIT
    failed = element("b", amount(wave.failed), class_="act") if wave.failed else "0"
    figures = (amount(wave.at_risk), amount(wave.due), failed, amount(wave.missing))
    return (f"{number} {wave.name}", _done(wave.done, wave.devices, urgency), *figures, state)


def _sets(
    status: RolloutStatus, known: Mapping[DeviceId, DeviceStatus], fleet: PageModel, at: PageUrls
) -> Iterator[Markup]:
    for name, devices in members(status.facts.report):
        if not devices:
            continue
        shown = sorted(devices)[:SHOWN]
        if name == "done":  # names only
            content: Markup = element("p", ", ".join(shown))
        else:
            rows = [_device(device, known.get(device), fleet, at) for device in shown]
            columns = (Column("Device"), Column("State"), Column("Since (UTC)", "time"), Column("Message"))
            content = table("Devices of this gateway", columns, rows)
        more = at.devices(Query(rollout=status.facts.rollout)) if len(devices) > SHOWN else None
        shown_count = f"Showing {SHOWN} of {amount(len(devices))}. "
        rest = element("p", shown_count, element("a", "All devices of this rollout", href=more)) if more else None
        yield section(f"{_SETS[name]} ({amount(len(devices))})", name, element("div", content, rest, class_="card"))


def _device(name: DeviceId, status: DeviceStatus | None, fleet: PageModel, at: PageUrls) -> Sequence[Child]:
    if status is None:  # no longer a device of this gateway
        return (name, "", "", "")
    link = element("a", name, href=at.device(name))
    return (link, ready(status.ready), since(status.ready.since, fleet), status.ready.message)
