# SPDX-License-Identifier: Apache-2.0
"""How fast a device infers is told by two answers of it, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.devices.reports import DeviceReport, Summary
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.inference_rate import LEAST, InferenceRates
from reconciler.engine.state.database import DeviceRecord, StateDatabase
from reconciler.model import Before, DeviceId, Digest
from tests.engine.test_drift import NOON, PUMP, report

OLD, NEW = bytes(16), bytes([1] * 16)
FIRST = replace(report(0), running=OLD)


class Steady:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


def say(paces: InferenceRates, clock: Steady, after_s: float, said: DeviceReport) -> None:
    clock.at_s += after_s
    paces.take(PUMP, said)


def test_a_count_of_before_anybody_listened_says_nothing_of_the_pace() -> None:
    """Else a gateway that was just started would find every model slow, and stop a good rollout."""
    clock = Steady()
    paces = InferenceRates(clock)
    assert paces.seconds_for(PUMP, OLD, 1) is None
    say(paces, clock, 0, replace(FIRST, inferences=1_000_000))
    assert paces.seconds_for(PUMP, OLD, 1) is None
    say(paces, clock, 2, replace(FIRST, inferences=1_000_000 + LEAST - 1))
    assert paces.seconds_for(PUMP, OLD, 1) is None
    say(paces, clock, 8, replace(FIRST, inferences=1_000_100))
    assert paces.seconds_for(PUMP, OLD, 1_000_000) == 100_000.0
    assert paces.seconds_for(PUMP, NEW, 1) is None


def test_a_restart_and_another_pack_begin_anew() -> None:
    clock = Steady()
    paces = InferenceRates(clock)
    say(paces, clock, 0, replace(FIRST, inferences=0))
    say(paces, clock, 10, replace(FIRST, inferences=100))
    say(paces, clock, 500, replace(FIRST, inferences=20, boots=7))
    assert paces.seconds_for(PUMP, OLD, 1) is None
    say(paces, clock, 10, replace(FIRST, inferences=60, boots=7))
    assert paces.seconds_for(PUMP, OLD, 40) == 10.0
    say(paces, clock, 10, replace(FIRST, inferences=90, boots=7, running=NEW))
    assert paces.seconds_for(PUMP, NEW, 1) is None
    paces.forget(PUMP)
    assert paces.seconds_for(PUMP, OLD, 1) is None


def test_evidence_has_the_pace_of_both_sides(tmp_path: Path) -> None:
    clock = Steady()
    evidence = GateEvidence(StateDatabase(tmp_path / "state.db"), clock)
    say(evidence.paces, clock, 0, replace(FIRST, inferences=1000))
    say(evidence.paces, clock, 10, replace(FIRST, inferences=1100))
    evidence.note_before(PUMP, Before("ab" * 8, Digest(OLD.hex()), {}), Summary(OLD, 1100, 0, 0, 0, None))
    say(evidence.paces, clock, 10, replace(FIRST, inferences=0, running=NEW))
    say(evidence.paces, clock, 10, replace(FIRST, inferences=50, running=NEW))
    evidence.wanted = {DeviceId(PUMP)}
    assert evidence.take(PUMP, DeviceRecord(PUMP, NOON, b"", confirmed_since=NOON), Summary(NEW, 60, 0, 0, 0, None))
    health = evidence.health(PUMP, Digest(NEW.hex()), NOON)
    assert health is not None
    assert health.before is not None
    assert (health.before.inferences / health.before.seconds, health.now.inferences / health.now.seconds) == (10.0, 5.0)
