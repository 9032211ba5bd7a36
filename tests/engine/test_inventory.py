# SPDX-License-Identifier: Apache-2.0
"""What is known of devices: replays, comings and goings, failures that are over, and devices that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Score, Summary, encode_body
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.records import DeviceRecord, QuarantineRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.model import Before, DeviceId, Digest, RolloutId
from tests.engine.test_identity_history import report

PUMP, OTHER = DeviceId("pump-1"), DeviceId("pump-2")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RUNS = Digest(bytes(16).hex())
FAILURE = QuarantineRecord(PUMP, Digest("ab" * 32), "the trial failed with -31", RolloutId("wear"), "revision")
TOLD = CapabilitiesBody("board", bytes(16), 1, b"\x01", 8192, 1024, 512, 0, updates=True, prebaked=(), firmware="1")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateWriter]:
    opened = StateWriter(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def inventory(state: StateWriter) -> Inventory:
    return Inventory(state)


def seen(inventory: Inventory) -> set[DeviceId]:
    return set(inventory.observed(PackDefaults(), {}).devices)


def test_a_report_that_nobody_asked_for_and_that_is_old_is_a_replay(inventory: Inventory) -> None:
    assert inventory.record_report(PUMP, report(9), NOON, asked=True)
    assert not inventory.record_report(PUMP, report(9), NOON + timedelta(minutes=1), asked=False)
    assert inventory.reports[PUMP].seen_at == NOON
    assert inventory.record_report(PUMP, report(10), NOON + timedelta(minutes=1), asked=False)
    assert inventory.reports[PUMP].seen_at == NOON + timedelta(minutes=1)


def test_a_device_that_fell_silent_and_came_back_is_counted(inventory: Inventory) -> None:
    inventory.silent_after_s = 900.0
    for minutes, counter in ((0, 1), (5, 2), (60, 3), (120, 4)):
        inventory.record_report(PUMP, report(counter), NOON + timedelta(minutes=minutes), asked=True)
    found = inventory.observed(PackDefaults(), {}).devices[PUMP]
    assert (found.flaps, found.flapped_at) == (2, NOON + timedelta(minutes=120))


def test_a_failure_is_over_when_git_wants_something_else(inventory: Inventory, state: StateWriter) -> None:
    inventory.quarantine(FAILURE)
    assert inventory.why_quarantined(PUMP, FAILURE.digest) == FAILURE.why
    inventory.release_outdated({FAILURE.rollout: "revision"})
    assert inventory.observed(PackDefaults(), {}).quarantined == {(PUMP, FAILURE.digest)}
    inventory.release_outdated({FAILURE.rollout: "another revision"})
    assert inventory.observed(PackDefaults(), {}).quarantined == frozenset()
    assert inventory.why_quarantined(PUMP, FAILURE.digest) is None
    assert state.quarantined() == []


def test_a_device_that_is_gone_leaves_nothing(inventory: Inventory, state: StateWriter) -> None:
    for device in (PUMP, OTHER):
        inventory.record_report(device, report(1), NOON, asked=True)
    inventory.record_capabilities(PUMP, TOLD)
    inventory.quarantine(FAILURE)
    assert seen(inventory) == {PUMP, OTHER}
    inventory.forget(PUMP)  # in a pass that learns other facts too: nothing is concluded of it any more
    assert seen(inventory) == {OTHER}
    assert inventory.capabilities_of(PUMP) is None
    assert inventory.observed(PackDefaults(), {}).quarantined == frozenset()
    assert [heard.device for heard in state.devices()] == [OTHER]


def test_nothing_new_is_the_same_object(inventory: Inventory) -> None:
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    facts: PackDefaults = PackDefaults()
    artifacts: dict[tuple[object, object], object] = {}
    first = inventory.observed(facts, artifacts)  # type: ignore[arg-type]  # an empty one
    inventory.record_report(PUMP, report(2), NOON, asked=True)  # says the same, but for its counter
    assert inventory.observed(facts, artifacts) is first  # type: ignore[arg-type]  # as above


def test_flags_are_counted_over_devices(inventory: Inventory) -> None:
    inventory.record_report(PUMP, report(1), NOON, asked=True)
    assert sum(inventory.count_flags().values()) == 0


# ---------------------------------------------------------------- evidence for gates


def summary(inferences: int, score: Score | None = None, running: bytes | None = bytes(16)) -> Summary:
    return Summary(running, inferences, 2 * inferences // 10, 1, 0, score)


def heard() -> DeviceRecord:
    return DeviceRecord(PUMP, NOON, b"", confirmed_since=NOON)


def test_a_device_that_runs_nothing_counts_nothing(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    assert not evidence.record(PUMP, heard(), summary(5, running=None))
    evidence.record_baseline(PUMP, Before("w", None, {}), summary(5, running=None))
    assert evidence.record(PUMP, heard(), summary(50))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert health.now.inferences == 50  # what it did before was with nothing


def test_without_a_summary_before_there_is_nothing_to_compare_with(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    evidence.record_baseline(PUMP, Before("w", RUNS, {}), None)
    evidence.record(PUMP, heard(), summary(50))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert (health.now.inferences, health.before) == (50, None)


def test_a_device_that_restarted_counts_from_nothing(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    evidence.record_baseline(PUMP, Before("w", RUNS, {}), summary(100))
    evidence.record(PUMP, heard(), summary(30))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert health.now.inferences == 30


def test_scores_of_before_are_taken_off(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    before = Score(2, -4, 4, 0, (1, 1, 0, 0, 0, 0, 0, 0))
    after = Score(6, -4, 40, 80, (1, 1, 2, 2, 0, 0, 0, 0))
    evidence.record_baseline(PUMP, Before("w", RUNS, {}), summary(100, before))
    evidence.record(PUMP, heard(), summary(140, after))
    health = evidence.health(PUMP, RUNS, NOON)
    assert health is not None
    assert health.now.scores is not None
    assert (health.now.scores.count, health.now.scores.mean) == (4, 20.0)
    assert health.now.scores.histogram == (0, 0, 2, 2, 0, 0, 0, 0)


def test_a_row_that_is_no_summary_tells_nothing(state: StateWriter, inventory: Inventory) -> None:
    """A database of another hand: what can't be read is as if it were not there."""
    told: DeviceReport = report(1)
    row = (PUMP, RUNS, NOON.timestamp(), encode_body(told), 0.0)
    state.write("INSERT INTO evidence VALUES (?, ?, ?, ?, ?)", row)
    assert GateEvidence(state).health(PUMP, RUNS, NOON) is None
    assert not inventory.record_summary(OTHER, summary(5))  # which never reported
