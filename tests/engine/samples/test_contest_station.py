# SPDX-License-Identifier: Apache-2.0
"""What a pass says of a contest when its knowledge base cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.contest.decision import ContestState
from reconciler.engine.desired.gateway_scope import ScopeResolver
from reconciler.engine.samples.contest_station import ContestStation, StationPorts
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Observed
from reconciler.report.contest_status import contest_status
from reconciler.report.device_status import PassStamp
from tests.engine.reports import NOON, FixedClock
from tests.engine.samples.test_own_contests import NAME, NORTH, desired


def station(path: Path) -> ContestStation:
    unused: Any = None  # nothing is built, asked or fetched
    open_knowledge = lambda: KnowledgeWriter(path)  # noqa: E731 - as the daemon passes it
    ports = StationPorts(NORTH, open_knowledge, unused, unused, unused, unused, FixedClock())
    return ContestStation(ports, lambda _device, _session: True, lambda: None)


def test_without_knowledge_the_status_says_what_is_wrong_and_nothing_is_decided(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = station(tmp_path / "file" / "knowledge.db")
    wanted = desired(NORTH)
    scope = ScopeResolver(NORTH).resolve(wanted)
    assert scope is not None
    made.decide(wanted, scope, Observed(), NOON)
    assert [each.decision.state for each in made.decided] == [ContestState.SETTLING]
    assert made.due == ()
    (report,) = made.reports()
    status = contest_status(report, PassStamp(NOON, wanted.commit), None)
    (kept,) = [each for each in status.conditions if each.type == "KnowledgeKept"]
    assert kept.reason == "KnowledgeUnusable"
    assert "check the folder's owner" in kept.message


def test_a_gateway_without_a_contest_has_no_knowledge_base(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.db"
    made = station(path)
    without = replace(desired(NORTH), contests={})
    scope = ScopeResolver(NORTH).resolve(without)
    assert scope is not None
    made.watch(without, scope, Observed())
    made.decide(without, scope, Observed(), NOON)
    assert not path.exists()
    assert made.reports() == ()
    assert made.next_change_at() is None
    assert NAME not in made.pending
