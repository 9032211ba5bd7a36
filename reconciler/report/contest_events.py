# SPDX-License-Identifier: Apache-2.0
"""Events of contests: a champion is not sound, or a proposal waits for a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.contest.decision import ContestState
from reconciler.report.conditions import Condition, Status
from reconciler.report.contest_status import ContestStatus
from reconciler.report.rollout_events import EventKind, FleetEvent


def contest_events(gateway: str, contests: Iterable[ContestStatus]) -> list[FleetEvent]:
    """Return every event that holds now; the same event is returned again for as long as it holds."""
    return [event for status in contests for event in _of(gateway, status)]


def _of(gateway: str, status: ContestStatus) -> Iterator[FleetEvent]:
    figures = status.figures
    conditions = {each.type: each for each in status.conditions}
    sound = conditions["ChampionSound"]
    if sound.status is Status.FALSE:
        yield _event(gateway, status, EventKind.UNSOUND, figures.champion, sound)
    if figures.state == ContestState.OPEN:
        pair = f"{figures.champion} to {figures.successor}"
        yield _event(gateway, status, EventKind.PROPOSED, pair, conditions["Proposed"])


def _event(gateway: str, status: ContestStatus, kind: EventKind, about: str, condition: Condition) -> FleetEvent:
    """Make an event that is sent once for each round of a champion."""
    figures = status.figures
    return FleetEvent(
        event=kind,
        gateway=gateway,
        rollout=figures.rollout,
        model=figures.champion,
        revision=f"{about}, {figures.since:%Y-%m-%dT%H:%M:%SZ}" if figures.since is not None else about,
        commit=condition.observed_commit,
        message=condition.message,
        since=condition.since,
        contest=status.name,
    )
