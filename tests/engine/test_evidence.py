# SPDX-License-Identifier: Apache-2.0
"""What gates go by is taken while they wait for it, compared with what was, and survives a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.devices.reports import Summary
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.state.database import DeviceRecord, StateDatabase
from reconciler.model import Before, DeviceId, Digest

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PUMP = DeviceId("pump-1")
OLD, NEW = bytes(16), bytes([1] * 16)
WISH = "ab" * 8


def summary(running: bytes, inferences: int, faults: int = 0) -> Summary:
    return Summary(running, inferences, 0, faults, 0, None)


def heard(since: datetime) -> DeviceRecord:
    return DeviceRecord(PUMP, NOW, b"", confirmed_since=since)


def test_evidence_is_taken_only_while_a_gate_waits_and_stays(tmp_path: Path) -> None:
    state = StateDatabase(tmp_path / "state.db")
    evidence, since = GateEvidence(state), NOW - timedelta(hours=1)
    assert not evidence.take(PUMP, heard(since), summary(NEW, 5))
    evidence.note_before(PUMP, Before(WISH, Digest(OLD.hex()), {"threshold": 1}), summary(OLD, 100))
    evidence.wanted = {PUMP}
    assert evidence.take(PUMP, heard(since), summary(NEW, 50, faults=2))
    evidence.wanted = set()
    assert not evidence.take(PUMP, heard(since), summary(NEW, 900, faults=9))
    state.close()
    again = GateEvidence(StateDatabase(tmp_path / "state.db"))
    health = again.health(PUMP, Digest(NEW.hex()), since)
    assert health is not None
    assert (health.now.inferences, health.now.faults, health.now.seconds) == (50, 2, 0.0)
    assert health.before is not None
    assert health.before.inferences == 100
    assert again.health(PUMP, Digest(NEW.hex()), NOW) is None  # of an earlier confirmation
    assert not again.needs_before(PUMP, WISH)
    assert again.needs_before(PUMP, "cd" * 8)


def test_other_parameters_for_the_same_pack_count_from_the_change(tmp_path: Path) -> None:
    evidence = GateEvidence(StateDatabase(tmp_path / "state.db"))
    evidence.wanted = {PUMP}
    evidence.note_before(PUMP, Before(WISH, Digest(OLD.hex()), {}), summary(OLD, 100, faults=3))
    evidence.take(PUMP, heard(NOW), summary(OLD, 130, faults=4))
    health = evidence.health(PUMP, Digest(OLD.hex()), NOW)
    assert health is not None
    assert (health.now.inferences, health.now.faults) == (30, 1)


def test_a_device_that_came_back_long_ago_is_calm_again(tmp_path: Path) -> None:
    evidence = GateEvidence(StateDatabase(tmp_path / "state.db"))
    evidence.flapped(PUMP, NOW)
    evidence.flapped(PUMP, NOW + timedelta(hours=1))
    assert evidence.unrest(PUMP) == (2, NOW + timedelta(hours=1))
    evidence.flapped(PUMP, NOW + timedelta(days=3))
    assert evidence.unrest(PUMP)[0] == 1
