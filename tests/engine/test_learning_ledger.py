# SPDX-License-Identifier: Apache-2.0
"""When learners are asked, and what is concluded from their answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.devices.messages import SampleSpace
from reconciler.devices.reports import HeldSamples, SamplesAttestation
from reconciler.engine.observed.learning_ledger import LearningLedger
from reconciler.model import DeviceId, LearningProgress, LearningStage
from tests.engine.reports import report

DEVICE = DeviceId("pump-1")
REPORT = report(1)
COLLECTING = LearningProgress(LearningStage.COLLECTING, 5, 0, 0, 0)
GROWN = LearningProgress(LearningStage.GROWN, 600, 0, 4000, 2)


def attested(progress: LearningProgress | None, running: bytes | None = REPORT.running) -> SamplesAttestation:
    none = HeldSamples(0, 0)
    return SamplesAttestation(running, 0, none, none, SampleSpace.ROWS, 0, 0, bytes(16), 0, progress)


def test_a_learner_is_asked_until_it_is_done() -> None:
    ledger = LearningLedger()
    assert ledger.is_due(DEVICE, REPORT)
    assert ledger.record(DEVICE, REPORT, attested(COLLECTING))
    assert ledger.is_due(DEVICE, REPORT)
    assert not ledger.record(DEVICE, REPORT, attested(COLLECTING))
    assert ledger.record(DEVICE, REPORT, attested(GROWN))
    assert not ledger.is_due(DEVICE, REPORT)
    assert ledger.progress == {DEVICE: GROWN}


@pytest.mark.parametrize("change", [{"running": b"\1" * 16}, {"parameters": 7}, {"boots": REPORT.boots + 1}])
def test_another_pack_other_parameters_or_a_restart_are_asked_about(change: dict[str, object]) -> None:
    ledger = LearningLedger()
    ledger.record(DEVICE, REPORT, attested(GROWN))
    assert ledger.is_due(DEVICE, replace(REPORT, **change))  # type: ignore[arg-type]  # fields of a report


def test_an_answer_about_another_pack_or_without_progress_says_nothing() -> None:
    ledger = LearningLedger()
    assert not ledger.record(DEVICE, REPORT, attested(GROWN, running=b"\2" * 16))
    assert not ledger.record(DEVICE, REPORT, attested(None))
    assert ledger.progress == {}


def test_a_device_that_no_longer_learns_is_forgotten() -> None:
    ledger = LearningLedger()
    ledger.record(DEVICE, REPORT, attested(GROWN))
    before = ledger.progress
    ledger.keep_only([DEVICE])
    assert ledger.progress is before
    ledger.keep_only([])
    assert ledger.progress == {}
