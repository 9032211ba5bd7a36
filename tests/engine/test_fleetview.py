# SPDX-License-Identifier: Apache-2.0
"""What is known of devices: replays, comings and goings, failures that are over, and devices that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Score, Summary, encode_body
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.interpret import Facts
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.database import DeviceRecord, Failure, StateDatabase
from reconciler.model import Before, DeviceId, Digest, RolloutId
from tests.engine.test_drift import report

PUMP, OTHER = DeviceId("pump-1"), DeviceId("pump-2")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUNS = Digest(bytes(16).hex())
FAILURE = Failure(PUMP, Digest("ab" * 32), "the trial failed with -31", RolloutId("wear"), "revision")
TOLD = CapabilitiesBody("board", bytes(16), 1, b"\x01", 8192, 1024, 512, 0, updates=True, prebaked=(), firmware="1")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    opened = StateDatabase(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def view(state: StateDatabase) -> Inventory:
    return Inventory(state)


def seen(view: Inventory) -> set[DeviceId]:
    return set(view.observed(Facts(), {}).devices)


def test_a_report_that_nobody_asked_for_and_that_is_old_is_a_replay(view: Inventory) -> None:
    assert view.take_report(PUMP, report(9), NOON, asked=True)
    assert not view.take_report(PUMP, report(9), NOON + timedelta(minutes=1), asked=False)
    assert view.reports[PUMP].seen_at == NOON
    assert view.take_report(PUMP, report(10), NOON + timedelta(minutes=1), asked=False)
    assert view.reports[PUMP].seen_at == NOON + timedelta(minutes=1)


def test_a_device_that_fell_silent_and_came_back_is_counted(view: Inventory) -> None:
    view.silent_after_s = 900.0
    for minutes, counter in ((0, 1), (5, 2), (60, 3), (120, 4)):
        view.take_report(PUMP, report(counter), NOON + timedelta(minutes=minutes), asked=True)
    found = view.observed(Facts(), {}).devices[PUMP]
    assert (found.flaps, found.flapped_at) == (2, NOON + timedelta(minutes=120))


def test_a_failure_is_over_when_git_wants_something_else(view: Inventory, state: StateDatabase) -> None:
    view.quarantine(FAILURE)
    assert view.why_quarantined(PUMP, FAILURE.digest) == FAILURE.why
    view.release_outdated({FAILURE.rollout: "revision"})
    assert view.observed(Facts(), {}).quarantined == {(PUMP, FAILURE.digest)}
    view.release_outdated({FAILURE.rollout: "another revision"})
    assert view.observed(Facts(), {}).quarantined == frozenset()
    assert view.why_quarantined(PUMP, FAILURE.digest) is None
    assert state.quarantined() == []


def test_a_device_that_is_gone_leaves_nothing(view: Inventory, state: StateDatabase) -> None:
    for device in (PUMP, OTHER):
        view.take_report(device, report(1), NOON, asked=True)
    view.take_capabilities(PUMP, TOLD)
    view.quarantine(FAILURE)
    assert seen(view) == {PUMP, OTHER}
    view.forget(PUMP)  # in a pass that learns other facts too: nothing is concluded of it any more
    assert seen(view) == {OTHER}
    assert view.capabilities_of(PUMP) is None
    assert view.observed(Facts(), {}).quarantined == frozenset()
    assert [heard.device for heard in state.heard()] == [OTHER]


def test_nothing_new_is_the_same_object(view: Inventory) -> None:
    view.take_report(PUMP, report(1), NOON, asked=True)
    facts: Facts = Facts()
    artifacts: dict[tuple[object, object], object] = {}
    first = view.observed(facts, artifacts)  # type: ignore[arg-type]  # an empty one
    view.take_report(PUMP, report(2), NOON, asked=True)  # says the same, but for its counter
    assert view.observed(facts, artifacts) is first  # type: ignore[arg-type]  # as above


def test_flags_are_counted_over_devices(view: Inventory) -> None:
    view.take_report(PUMP, report(1), NOON, asked=True)
    assert sum(view.count_flags().values()) == 0


# ---------------------------------------------------------------- evidence for gates


def summary(inferences: int, score: Score | None = None, running: bytes | None = bytes(16)) -> Summary:
    return Summary(running, inferences, 2 * inferences // 10, 1, 0, score)


def heard() -> DeviceRecord:
    return DeviceRecord(PUMP, NOON, b"", confirmed_since=NOON)


def test_a_device_that_runs_nothing_counts_nothing(state: StateDatabase) -> None:
    evidence = GateEvidence(state)
    evidence.wanted = {PUMP}
    assert not evidence.take(PUMP, heard(), summary(5, running=None))
    evidence.note_before(PUMP, Before("w", None, {}), summary(5, running=None))
    assert evidence.take(PUMP, heard(), summary(50))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert health.now.inferences == 50  # what it did before was with nothing


def test_without_a_summary_before_there_is_nothing_to_compare_with(state: StateDatabase) -> None:
    evidence = GateEvidence(state)
    evidence.wanted = {PUMP}
    evidence.note_before(PUMP, Before("w", RUNS, {}), None)
    evidence.take(PUMP, heard(), summary(50))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert (health.now.inferences, health.before) == (50, None)


def test_a_device_that_restarted_counts_from_nothing(state: StateDatabase) -> None:
    evidence = GateEvidence(state)
    evidence.wanted = {PUMP}
    evidence.note_before(PUMP, Before("w", RUNS, {}), summary(100))
    evidence.take(PUMP, heard(), summary(30))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert health.now.inferences == 30


def test_scores_of_before_are_taken_off(state: StateDatabase) -> None:
    evidence = GateEvidence(state)
    evidence.wanted = {PUMP}
    before = Score(2, -4, 4, 0, (1, 1, 0, 0, 0, 0, 0, 0))
    after = Score(6, -4, 40, 80, (1, 1, 2, 2, 0, 0, 0, 0))
    evidence.note_before(PUMP, Before("w", RUNS, {}), summary(100, before))
    evidence.take(PUMP, heard(), summary(140, after))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert health.now.scores is not None
    assert (health.now.scores.count, health.now.scores.mean) == (4, 20.0)
    assert health.now.scores.histogram == (0, 0, 2, 2, 0, 0, 0, 0)


def test_a_row_that_is_no_summary_tells_nothing(state: StateDatabase, view: Inventory) -> None:
    """A database of another hand: what can't be read is as if it were not there."""
    told: DeviceReport = report(1)
    row = (PUMP, RUNS, NOON.timestamp(), encode_body(told), 0.0)
    state.write("INSERT INTO evidence VALUES (?, ?, ?, ?, ?)", row)
    assert GateEvidence(state).health(PUMP, RUNS, NOON) is None
    assert not view.take_summary(OTHER, summary(5))  # which never reported
