# SPDX-License-Identifier: Apache-2.0
"""Events of contests."""

from __future__ import annotations

from dataclasses import replace

from reconciler.report.contest_events import contest_events
from reconciler.report.contest_status import ContestReport, contest_status
from reconciler.report.rollout_events import EventKind, FleetEvent
from tests.contest.rows import FACTS, B, at, unsound
from tests.report.test_contest_status import GOOD, figures, stamp


def events(report: ContestReport) -> list[FleetEvent]:
    return contest_events("hall", [contest_status(report, stamp(), None)])


def test_a_sound_champion_makes_no_event() -> None:
    assert events(GOOD) == []


def test_a_champion_that_is_not_sound_and_a_proposal_are_events_once_for_each_round() -> None:
    opened = figures(unsound(), facts=replace(FACTS, open=B))
    found = events(opened)
    assert [each.event for each in found] == [EventKind.UNSOUND, EventKind.PROPOSED]
    assert found[1].as_dict() == {
        "version": "1",
        "event": "proposed",
        "key": "contests/pumps/forest@a at 0.6 to forest@b at 0.6, 2026-11-01T00:00:00Z/proposed",
        "gateway": "hall",
        "rollout": "pumps",
        "model": "forest@a at 0.6",
        "commit": "c" * 40,
        "message": "propose/hall/pumps proposes forest@b at 0.6 in place of forest@a at 0.6.",
        "since": "2026-11-01T02:00:00+00:00",
        "contest": "pumps",
    }
    more = events(figures(unsound(9), facts=replace(FACTS, open=B)))
    assert [each.key for each in more] == [each.key for each in found]
    later = events(figures([], 200, facts=replace(FACTS, complete_since=at(100), stopped="1 failed")))
    assert later == []


def test_a_successor_that_is_only_due_is_not_a_proposal_yet() -> None:
    assert [each.event for each in events(figures(unsound()))] == [EventKind.UNSOUND]
