# SPDX-License-Identifier: Apache-2.0
"""When a status is committed: not too often, and at once when a rollout has stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.engine.state.database import StateDatabase
from reconciler.engine.status.publisher import Publisher
from reconciler.engine.status.renderer import has_stopped
from reconciler.git.commit_writer import CommitAuthor
from reconciler.git.remote import Remote
from reconciler.git.status_writer import InPlace, Pushed, StatusWriter
from reconciler.model import Commit, RolloutId, RolloutReport
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, rollout_status
from tests.engine.test_drift import NOON
from tests.git.forge import make_forge

INTERVAL_S = 10.0


def test_a_stop_waits_for_no_interval_and_is_urgent_once(tmp_path: Path) -> None:
    forge = make_forge(tmp_path)
    ref = StatusWriter(
        tmp_path / "status.git", Remote(f"file://{forge.bare}"), "north", CommitAuthor("north", "north@example.org")
    )
    publisher = Publisher(ref, StateDatabase(tmp_path / "state.db"), interval_s=INTERVAL_S)

    def commit(now_s: float) -> None:
        batch = publisher.batch(now_s)
        outcome = publisher.commit(batch, NOON)
        assert isinstance(outcome, Pushed | InPlace)
        assert publisher.ended(batch, outcome) is None

    with ref:
        publisher.put({"a.yaml": b"1"}, set())
        assert publisher.due_in_s(100.0) == 0.0
        commit(100.0)
        publisher.put({"a.yaml": b"2"}, set())
        assert publisher.due_in_s(101.0) == INTERVAL_S - 1
        publisher.put({"b.yaml": b"stopped"}, set(), urgent=True)
        assert publisher.due_in_s(101.0) == 0.0
        commit(101.0)
        assert publisher.due_in_s(102.0) is None
        publisher.put({"a.yaml": b"3"}, set())
        assert publisher.due_in_s(102.0) == INTERVAL_S - 1


def status(stopped: str) -> RolloutStatus:
    facts = RolloutFacts(RolloutId("wear"), "wear@2", RolloutReport("ab"), (), complete=False)
    facts = replace(facts, word=replace(facts.word, stopped=stopped))
    return rollout_status(facts, PassStamp(NOON, Commit("c")), None)


def test_a_rollout_has_just_stopped_once() -> None:
    name, going, over = RolloutId("wear"), status(""), status("stopped: 1 failed, 0 allowed")
    assert has_stopped({name: going}, {name: over})
    assert has_stopped({}, {name: over})
    assert not has_stopped({name: over}, {name: over})
    assert not has_stopped({name: over}, {name: going})
