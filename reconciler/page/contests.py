# SPDX-License-Identifier: Apache-2.0
"""Contests: a row for each, and a page with the champion's errors and the ranks of its candidates.

Windows are private to the gateway, so no page shows one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.contest.decision import ContestState
from reconciler.page.charts import progress_bar, rank_bar
from reconciler.page.html import Child, Markup, element, joined
from reconciler.page.layout import (
    NONE,
    Column,
    amount,
    document,
    pairs,
    pill,
    ready,
    remedy,
    section,
    since,
    since_line,
    stamp,
    table,
)
from reconciler.page.models import phases
from reconciler.page.page_model import PageModel, Urgency
from reconciler.page.urls import PageUrls
from reconciler.report.conditions import Status
from reconciler.report.contest_figures import CandidateFigures, ContestFigures, DeviceErrors
from reconciler.report.contest_status import ContestStatus

_URGENCY = {
    ContestState.WATCHING: Urgency.GOOD,
    ContestState.SUSPENDED: Urgency.WAIT,
    ContestState.SETTLING: Urgency.WAIT,
    ContestState.TOO_LITTLE_SEEN: Urgency.WAIT,
    ContestState.COOLING_DOWN: Urgency.WAIT,
    ContestState.DUE: Urgency.WAIT,
}
_ALL = (
    Column("Contest"),
    Column("Champion", "name"),
    Column("State"),
    Column("False positives", "done"),
    Column("Since (UTC)", "time"),
    Column("Message"),
)
_CONDITIONS = (Column("Condition"), Column("State"), Column("Since (UTC)", "time"), Column("Message"))
_ERRORS = (Column("Device"), Column("False positives", "done"), Column("Missed", "done"))
_CANDIDATES = (
    Column("Candidate"),
    Column("Rank", "done"),
    *(Column(name, "number") for name in ("Windows", "False alarms per 1 000", "Missed per 1 000")),
    Column("May succeed"),
)


def contests(fleet: PageModel, at: PageUrls) -> Markup | None:
    """Show all contests; without one, nothing."""
    if not fleet.contests:
        return None
    every = sorted(fleet.contests, key=lambda each: (_urgency(fleet.figures(each)) is Urgency.GOOD, each.name))
    rows = [_row(each, fleet, at) for each in every]
    return section("Contests", "contests", element("div", table("Contests of this gateway", _ALL, rows), class_="card"))


def contest(status: ContestStatus, fleet: PageModel, at: PageUrls) -> bytes:
    """Render the page of one contest."""
    figures, condition = fleet.figures(status), status.ready
    known = {each.model: each for each in fleet.models}
    running = known.get(figures.champion.partition(" ")[0])
    main = [
        element("h1", figures.contest),
        element("p", _state(figures), f" {figures.champion}. ", condition.message, class_="lede"),
        since_line(condition.since, fleet),
        remedy(condition.reason) if condition.status is not Status.TRUE else None,
        section("Figures", "figures", element("div", pairs(_facts(figures, fleet, at)), class_="card")),
        section("What it waits for", "conditions", element("div", _conditions(status, fleet), class_="card")),
        section("Errors of the champion", "errors", element("div", _errors(figures), class_="card")),
        section("Candidates", "candidates", element("div", _candidates(figures), class_="card")),
        section("Phases of the champion", "phases", element("div", phases(running, fleet), class_="card"))
        if running is not None
        else None,
    ]
    return document(str(figures.contest), fleet, at, main)


def _row(status: ContestStatus, fleet: PageModel, at: PageUrls) -> Sequence[Child]:
    figures = fleet.figures(status)
    worst = figures.errors[0].false_positives if figures.errors else 0
    return (
        element("a", figures.contest, href=at.contest(figures.contest)),
        figures.champion,
        _state(figures),
        _against(worst, figures.limits.false_positives),
        since(status.ready.since, fleet),
        status.ready.message,
    )


def _urgency(figures: ContestFigures) -> Urgency:
    return _URGENCY.get(ContestState(figures.state), Urgency.ACT)


def _state(figures: ContestFigures) -> Markup:
    return pill(figures.state, _urgency(figures))


def _against(number: int, limit: int) -> Markup:
    urgency = Urgency.ACT if number >= limit else Urgency.WAIT if number else Urgency.GOOD
    figure = element("span", f"{amount(number)} of {amount(limit)}", class_="figure")
    return joined([figure, progress_bar(min(number, limit), limit, urgency)])


def _facts(figures: ContestFigures, fleet: PageModel, at: PageUrls) -> Iterator[tuple[str, Child]]:
    yield "Champion", figures.champion
    yield (
        "Since",
        since(figures.since, fleet, zone=" UTC") if figures.since is not None else "its rollout is not complete",
    )
    yield "Rollout", element("a", figures.rollout, href=at.rollout(figures.rollout))
    yield "Successor", figures.successor or NONE
    if figures.until is not None:
        yield "Waits until", joined([stamp(figures.until), " UTC"])
    yield "Decided windows", f"{amount(figures.decided)} of at least {amount(figures.limits.decided)}"
    yield "Of the normal log", f"{amount(figures.normals)} of at least {amount(figures.limits.normals)}"
    yield "Undecided windows", amount(figures.undecided)
    yield "Replacements", f"{amount(figures.replaced)} of at most {amount(figures.limits.replacements)}"


def _conditions(status: ContestStatus, fleet: PageModel) -> Markup:
    rows = [(each.type, ready(each), since(each.since, fleet), each.message) for each in status.conditions[1:]]
    return table("All of them have to be good", _CONDITIONS, rows)


def _errors(figures: ContestFigures) -> Markup:
    if not figures.errors:
        return element("p", "No device has an error within the time that counts.", class_="soft")
    hidden = figures.devices_with_errors - len(figures.errors)
    more = f", and {amount(hidden)} more devices" if hidden else ""
    caption = f"Devices with the most errors{more}; {amount(figures.limits.on_devices)} must reach a limit"
    return table(caption, _ERRORS, [_device(each, figures) for each in figures.errors])


def _device(each: DeviceErrors, figures: ContestFigures) -> Sequence[Child]:
    limits = figures.limits
    return each.device, _against(each.false_positives, limits.false_positives), _against(each.missed, limits.missed)


def _candidates(figures: ContestFigures) -> Markup:
    highest = max((abs(each.rank) for each in figures.candidates), default=0)
    caption = "Ranks count the present round; the rest also covers windows of earlier champions"
    return table(caption, _CANDIDATES, [_candidate(each, figures, highest) for each in figures.candidates])


def _candidate(each: CandidateFigures, figures: ContestFigures, highest: int) -> Sequence[Child]:
    is_champion = each.candidate == figures.champion
    return (
        joined([each.candidate, " (champion)"]) if is_champion else each.candidate,
        joined([element("span", f"{each.rank:+d}", class_="figure"), rank_bar(each.rank, highest)]),
        amount(each.decided),
        f"{1000 * each.false_alarm_rate:.1f}",
        f"{1000 * each.missed_rate:.1f}",
        NONE if is_champion else each.shortcoming or "yes",
    )
