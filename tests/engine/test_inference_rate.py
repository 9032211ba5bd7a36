# SPDX-License-Identifier: Apache-2.0
"""A device's inference rate comes from two of its answers, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

from reconciler.devices.reports import DeviceReport, Summary
from reconciler.engine.observed.gate_evidence import GateEvidence
from reconciler.engine.observed.inference_rate import MIN_INFERENCES, InferenceRates
from reconciler.engine.state.records import DeviceRecord
from reconciler.engine.state.writer import StateWriter
from reconciler.model import Before, Digest
from tests.engine.reports import NOON, PUMP, report

OLD, NEW = bytes(16), bytes([1] * 16)
FIRST = replace(report(0), running=OLD)


class ManualClock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


def answer(rates: InferenceRates, clock: ManualClock, after_s: float, given: DeviceReport) -> None:
    clock.at_s += after_s
    rates.record(PUMP, given)


def test_a_count_from_before_the_first_answer_says_nothing_about_the_rate() -> None:
    """Otherwise a gateway that has just started would find every model slow, and stop a good rollout."""
    clock = ManualClock()
    rates = InferenceRates(clock)
    assert rates.seconds_for(PUMP, OLD, 1) is None
    answer(rates, clock, 0, replace(FIRST, inferences=1_000_000))
    assert rates.seconds_for(PUMP, OLD, 1) is None
    answer(rates, clock, 2, replace(FIRST, inferences=1_000_000 + MIN_INFERENCES - 1))
    assert rates.seconds_for(PUMP, OLD, 1) is None
    answer(rates, clock, 8, replace(FIRST, inferences=1_000_100))
    assert rates.seconds_for(PUMP, OLD, 1_000_000) == 100_000.0
    assert rates.seconds_for(PUMP, NEW, 1) is None


def test_after_a_restart_or_with_another_pack_the_rate_is_measured_again() -> None:
    clock = ManualClock()
    rates = InferenceRates(clock)
    answer(rates, clock, 0, replace(FIRST, inferences=0))
    answer(rates, clock, 10, replace(FIRST, inferences=100))
    answer(rates, clock, 500, replace(FIRST, inferences=20, boots=7))
    assert rates.seconds_for(PUMP, OLD, 1) is None
    answer(rates, clock, 10, replace(FIRST, inferences=60, boots=7))
    assert rates.seconds_for(PUMP, OLD, 40) == 10.0
    answer(rates, clock, 10, replace(FIRST, inferences=90, boots=7, running=NEW))
    assert rates.seconds_for(PUMP, NEW, 1) is None
    rates.forget(PUMP)
    assert rates.seconds_for(PUMP, OLD, 1) is None


def test_evidence_has_the_rates_before_and_after_an_update(state: StateWriter) -> None:
    clock = ManualClock()
    evidence = GateEvidence(state, clock)
    answer(evidence.rates, clock, 0, replace(FIRST, inferences=1000))
    answer(evidence.rates, clock, 10, replace(FIRST, inferences=1100))
    evidence.record_baseline(PUMP, Before("ab" * 8, Digest(OLD.hex()), {}), Summary(OLD, 1100, 0, 0, 0, None))
    answer(evidence.rates, clock, 10, replace(FIRST, inferences=0, running=NEW))
    answer(evidence.rates, clock, 10, replace(FIRST, inferences=50, running=NEW))
    evidence.awaited = {PUMP}
    reported = DeviceRecord(PUMP, NOON, FIRST, confirmed_since=NOON)
    assert evidence.record(PUMP, reported, Summary(NEW, 60, 0, 0, 0, None))
    health = evidence.health(PUMP, Digest(NEW.hex()), NOON)
    assert health is not None
    assert health.before is not None
    assert (health.before.inferences / health.before.seconds, health.now.inferences / health.now.seconds) == (10.0, 5.0)
