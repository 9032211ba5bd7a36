# SPDX-License-Identifier: Apache-2.0
"""Rollouts: a line for each, and the waves of those that are not over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.model import DeviceId
from reconciler.page.charts import progress
from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import Column, advice, amount, document, pill, ready, section, since, since_line, table
from reconciler.page.page_model import Mood, PageModel, members
from reconciler.page.urls import Addresses, Query
from reconciler.report.conditions import Status
from reconciler.report.device_status import DeviceStatus
from reconciler.report.rollout_status import RolloutStatus, WaveFacts
from reconciler.review.rollout_state import RolloutState, state_of

SHOWN = 100  # devices of one set on a rollout's page
_MOODS = {RolloutState.COMPLETE: Mood.GOOD, RolloutState.STOPPED: Mood.ACT, RolloutState.ROLLED_BACK: Mood.ACT}
_ALL = (
    Column("Rollout"),
    Column("Model", "name"),
    Column("State"),
    Column("Done", "done"),
    Column("Since (UTC)", "time"),
    Column("What"),
)
_WAVES = (
    Column("Wave"),
    Column("Done", "done"),
    *(Column(name, "number") for name in ("At risk", "To go", "Failed", "Missing")),
    Column("State"),
)
_SETS = {
    "failed": "Failed",
    "missing": "Missing: they do not report",
    "out": "Can never have it",
    "begun": "On the way, or on trial",
    "soaking": "Settled, and watched",
    "due": "Yet to begin",
    "done": "Done",
}


def rollouts(fleet: PageModel, at: Addresses) -> Markup:
    """Tell of all rollouts."""
    every = sorted(fleet.rollouts, key=lambda each: (state_of(each) is RolloutState.COMPLETE, each.facts.rollout))
    if not every:
        return section("Rollouts", "rollouts", element("p", "There are no rollouts with devices here.", class_="soft"))
    rows = [_row(each, fleet, at) for each in every]
    in_progress = [each for each in every if not each.facts.complete and len(each.facts.waves) > 1]
    detailed = [element("div", _waves(each), class_="card") for each in in_progress]
    first = element("div", table("All rollouts that have devices of this gateway", _ALL, rows), class_="card")
    return section("Rollouts", "rollouts", element("div", first, *detailed, class_="stack"))


def rollout(status: RolloutStatus, fleet: PageModel, at: Addresses) -> bytes:
    """Draw one rollout's page."""
    facts = status.facts
    known = {device.device: device for device in fleet.devices}
    condition = status.ready
    trouble = advice(condition.reason) if condition.status is not Status.TRUE else None
    main = [
        element("h1", facts.rollout),
        element("p", _state(status), f" {facts.model}. ", condition.message, class_="lede"),
        since_line(condition.since, fleet),
        trouble,
        section("Waves", "waves", element("div", _waves(status), class_="card")),
        *_sets(status, known, fleet, at),
    ]
    return document(str(facts.rollout), fleet, at, main)


def _row(status: RolloutStatus, fleet: PageModel, at: Addresses) -> Sequence[Child]:
    facts = status.facts
    done, total = sum(wave.done for wave in facts.waves), sum(wave.devices for wave in facts.waves)
    return (
        element("a", facts.rollout, href=at.rollout(facts.rollout)),
        facts.model,
        _state(status),
        _done(done, total, _mood(status)),
        since(status.ready.since, fleet),
        status.ready.message,
    )


def _mood(status: RolloutStatus) -> Mood:
    return _MOODS.get(state_of(status), Mood.WAIT)


def _state(status: RolloutStatus) -> Markup:
    return pill(state_of(status).value, _mood(status))


def _done(done: int, total: int, mood: Mood) -> Markup:
    words = element("span", f"{amount(done)} of {amount(total)}", class_="figure")
    return joined([words, progress(done, total, mood)])


def _waves(status: RolloutStatus) -> Markup:
    rows = [_wave(number, wave) for number, wave in enumerate(status.facts.waves, start=1)]
    return table(f"{status.facts.rollout}, wave by wave, over all gateways", _WAVES, rows)


def _wave(number: int, wave: WaveFacts) -> Sequence[Child]:
    over = bool(wave.devices) and wave.done == wave.devices
    state = "over" if over else "open" if wave.open else "not open"
    mood = Mood.GOOD if over else Mood.WAIT
    failed = element("b", amount(wave.failed), class_="act") if wave.failed else "0"
    figures = (amount(wave.at_risk), amount(wave.due), failed, amount(wave.missing))
    return (f"{number} {wave.name}", _done(wave.done, wave.devices, mood), *figures, state)


def _sets(
    status: RolloutStatus, known: Mapping[DeviceId, DeviceStatus], fleet: PageModel, at: Addresses
) -> Iterator[Markup]:
    for name, devices in members(status.facts.report):
        if not devices:
            continue
        shown = sorted(devices)[:SHOWN]
        if name == "done":  # names alone: nothing more is to be said of each
            content: Markup = element("p", ", ".join(shown))
        else:
            rows = [_device(device, known.get(device), fleet, at) for device in shown]
            columns = (Column("Device"), Column("State"), Column("Since (UTC)", "time"), Column("What is known"))
            content = table("Devices of this gateway", columns, rows)
        more = at.devices(Query(rollout=status.facts.rollout)) if len(devices) > SHOWN else None
        words = f"{SHOWN} of {amount(len(devices))} are shown. "
        rest = element("p", words, element("a", "All devices of this rollout", href=more)) if more else None
        yield section(f"{_SETS[name]} ({amount(len(devices))})", name, element("div", content, rest, class_="card"))


def _device(name: DeviceId, status: DeviceStatus | None, fleet: PageModel, at: Addresses) -> Sequence[Child]:
    if status is None:  # it has left meanwhile
        return (name, "", "", "")
    link = element("a", name, href=at.device(name))
    return (link, ready(status.ready), since(status.ready.since, fleet), status.ready.message)
