# SPDX-License-Identifier: Apache-2.0
"""Evidence is recorded while a gate awaits it, compared with the baseline, and survives a restart."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from reconciler.devices.reports import Score, Summary, encode_body
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.records import DeviceRecord, EvidenceRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.model import Before, Counts, DeviceId, Digest
from tests.engine.reports import NOON, PUMP, report

OLD, NEW = bytes(16), bytes([1] * 16)
OLD_DIGEST, NEW_DIGEST = Digest(OLD.hex()), Digest(NEW.hex())
REVISION = "ab" * 8


def summary(inferences: int, running: bytes | None = OLD, *, faults: int = 0, score: Score | None = None) -> Summary:
    return Summary(running, inferences, 2 * inferences // 10, faults, 0, score)


def confirmed(since: datetime = NOON) -> DeviceRecord:
    return DeviceRecord(PUMP, NOON, report(1), confirmed_since=since)


def counted(evidence: GateEvidence, running: Digest = OLD_DIGEST) -> Counts:
    health = evidence.health(PUMP, running, NOON)
    assert health is not None
    return health.now


def test_evidence_is_recorded_only_while_a_gate_awaits_it(tmp_path: Path) -> None:
    state = StateWriter(tmp_path / "state.db")
    evidence, since = GateEvidence(state), NOON - timedelta(hours=1)
    assert not evidence.record(PUMP, confirmed(since), summary(5, NEW))
    evidence.record_baseline(PUMP, Before(REVISION, OLD_DIGEST, {"threshold": 1}), summary(100))
    evidence.awaited = {PUMP}
    assert evidence.record(PUMP, confirmed(since), summary(50, NEW, faults=2))
    evidence.awaited = set()
    assert not evidence.record(PUMP, confirmed(since), summary(900, NEW, faults=9))
    state.close()
    restarted = GateEvidence(StateWriter(tmp_path / "state.db"))
    health = restarted.health(PUMP, NEW_DIGEST, since)
    assert health is not None
    assert (health.now.inferences, health.now.faults, health.now.seconds) == (50, 2, 0.0)
    assert health.before is not None
    assert health.before.inferences == 100
    assert restarted.health(PUMP, NEW_DIGEST, NOON) is None  # since another confirmation
    assert not restarted.needs_baseline(PUMP, REVISION)
    assert restarted.needs_baseline(PUMP, "cd" * 8)


def test_with_new_parameters_for_the_same_pack_counts_start_at_the_baseline(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    evidence.record_baseline(PUMP, Before(REVISION, OLD_DIGEST, {}), summary(100, faults=3))
    evidence.record(PUMP, confirmed(), summary(130, faults=4))
    assert (counted(evidence).inferences, counted(evidence).faults) == (30, 1)


def test_a_device_that_runs_nothing_counts_nothing(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    assert not evidence.record(PUMP, confirmed(), summary(5, None))
    evidence.record_baseline(PUMP, Before("w", None, {}), summary(5, None))
    assert evidence.record(PUMP, confirmed(), summary(50))
    assert counted(evidence).inferences == 50  # the baseline was without a pack


def test_without_a_baseline_summary_there_is_nothing_to_compare_with(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    evidence.record_baseline(PUMP, Before("w", OLD_DIGEST, {}), None)
    evidence.record(PUMP, confirmed(), summary(50))
    health = evidence.health(PUMP, OLD_DIGEST, NOON)
    assert health is not None
    assert (health.now.inferences, health.before) == (50, None)


def test_after_a_restart_of_the_device_counts_start_at_zero(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    evidence.record_baseline(PUMP, Before("w", OLD_DIGEST, {}), summary(100))
    evidence.record(PUMP, confirmed(), summary(30))
    assert counted(evidence).inferences == 30


def test_scores_of_the_baseline_are_subtracted(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.awaited = {PUMP}
    before = Score(2, -4, 4, 0, (1, 1, 0, 0, 0, 0, 0, 0))
    after = Score(6, -4, 40, 80, (1, 1, 2, 2, 0, 0, 0, 0))
    evidence.record_baseline(PUMP, Before("w", OLD_DIGEST, {}), summary(100, score=before))
    evidence.record(PUMP, confirmed(), summary(140, score=after))
    scores = counted(evidence).scores
    assert scores is not None
    assert (scores.count, scores.mean) == (4, 20.0)
    assert scores.histogram == (0, 0, 2, 2, 0, 0, 0, 0)


def test_a_row_that_holds_no_summary_is_ignored(state: StateWriter, inventory: Inventory) -> None:
    """A database that something else wrote: unreadable evidence counts as missing."""
    state.save_evidence(PUMP, EvidenceRecord(OLD_DIGEST, NOON.timestamp(), encode_body(report(1)), 0.0))
    assert GateEvidence(state).health(PUMP, OLD_DIGEST, NOON) is None
    assert not inventory.record_summary(DeviceId("pump-2"), summary(5))  # it never reported


def test_flaps_of_long_ago_are_forgotten(state: StateWriter) -> None:
    evidence = GateEvidence(state)
    evidence.record_flap(PUMP, NOON)
    evidence.record_flap(PUMP, NOON + timedelta(hours=1))
    assert evidence.flapping(PUMP) == (2, NOON + timedelta(hours=1))
    evidence.record_flap(PUMP, NOON + timedelta(days=3))
    assert evidence.flapping(PUMP)[0] == 1
