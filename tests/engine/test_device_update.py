# SPDX-License-Identifier: Apache-2.0
"""One update of one device: what is asked first, what is sent, and what follows from each outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.devices.conversation import Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.devices.error_codes import DeviceErrorCode, describe_failed_trial, describe_refusal
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import Body, DeviceReport
from reconciler.devices.transfer import TransferCost, TransferJob
from reconciler.engine.delivery.device_update import RAW_MAY_HELP
from reconciler.engine.observed.inference_rate import MIN_INFERENCES
from reconciler.engine.state.writer import StateWriter
from reconciler.errors import Unusable
from reconciler.model import ActivatePrebaked, Configure, HealthGate, HealthMetric, Origin, Rollout
from tests.engine.one_device import (
    CAPABILITIES,
    DEVICE,
    DIGESTS,
    INSTALL,
    PACKS,
    RUNS_V1,
    RUNS_V2,
    SILENCE,
    OneDevice,
    ScriptedSession,
)
from tests.engine.reports import NOON
from tests.plan.example_fleet import ESP32, EVERYWHERE, V2

CONFIGURE = Configure(DEVICE, EVERYWHERE.name, {"threshold": 9}, "threshold 7 → 9")
GATED = replace(EVERYWHERE, gates=(HealthGate(HealthMetric.FAULTS, at_most=0),))
RATED = replace(EVERYWHERE, gates=(HealthGate(HealthMetric.INFERENCE_RATE_RATIO, at_least=0.9),))
FAILED = replace(RUNS_V1, counter=100, error=-87)


def test_a_confirmed_pack_is_observed_at_once(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2)])
    assert one.run(INSTALL) == ["confirmed, sequence 4"]
    (job,) = one.session.jobs
    assert (job.sequence, job.payload != b"", job.digest16) == (4, True, bytes.fromhex(DIGESTS[V2])[:16])
    assert one.inventory.report_of(DEVICE) == RUNS_V2
    assert state.order(DEVICE) is not None
    assert one.inventory.evidence.baseline(DEVICE) is not None


def test_a_pack_that_the_device_holds_takes_an_envelope_alone(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2), Confirmed(RUNS_V2)])
    activate = ActivatePrebaked(DEVICE, EVERYWHERE.name, V2, {}, "was made with m@2")
    one.run(replace(INSTALL, origin=Origin.OTHER_SLOT), activate)
    assert [job.payload for job in one.session.jobs] == [b"", b""]


def test_a_pack_whose_failed_trial_the_device_signed_is_quarantined(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[TrialFailed(FAILED)])
    assert one.run(INSTALL)[0].startswith("the trial failed with -87")
    assert (one.why_quarantined or "").startswith("the trial failed with -87")
    assert one.inventory.report_of(DEVICE) == FAILED


@pytest.mark.parametrize("code", sorted(RAW_MAY_HELP))
def test_after_a_refused_encoded_payload_the_pack_is_sent_raw_until_one_is_confirmed(
    state: StateWriter, code: DeviceErrorCode
) -> None:
    refused = Rejected(code, "staging")
    one = OneDevice(state, outcomes=[refused, refused, Confirmed(RUNS_V2), Confirmed(RUNS_V2)])
    first, second, *_ = one.run(INSTALL, INSTALL, INSTALL, INSTALL)
    assert first == f"lost: {describe_refusal(code, 'staging')}; the next try sends the pack raw"
    assert second == describe_refusal(code, "staging")  # nothing is left to change
    raw = [job.payload == PACKS[V2] for job in one.session.jobs]
    assert raw == [False, True, True, False]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (Rejected(-24, "offering"), describe_refusal(-24, "offering")),
        (TrialFailed(FAILED), describe_failed_trial(-87)),
    ],
)
def test_parameters_that_fail_quarantine_no_pack(state: StateWriter, outcome: Outcome, message: str) -> None:
    one = OneDevice(state, outcomes=[outcome])
    assert one.run(CONFIGURE) == [message]
    assert state.quarantined() == []


def test_no_parameters_are_sent_for_an_unknown_pack(state: StateWriter) -> None:
    one = OneDevice(
        state, outcomes=[Confirmed(RUNS_V1)], bodies={ReportKind.REPORT: replace(RUNS_V1, running=b"\x77" * 16)}
    )
    assert one.run(CONFIGURE) == ["lost: the pack that it runs is unknown"]
    assert one.session.jobs == []


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ({}, f"lost: {SILENCE}"),
        ({ReportKind.REPORT: CAPABILITIES}, "lost: it did not send its report"),
        (
            {ReportKind.REPORT: RUNS_V1},
            "lost: a gate compares with what it counted so far: no answer to 6 questions",
        ),
    ],
)
def test_nothing_is_sent_to_a_device_that_does_not_answer_first(
    state: StateWriter, bodies: dict[ReportKind, Body | None], message: str
) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2)], bodies=bodies, rollout=GATED)
    assert one.run(INSTALL) == [message]
    assert one.session.jobs == []


def test_a_gate_on_the_inference_rate_waits_until_the_rate_is_known(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2)], rollout=RATED)
    assert one.run(INSTALL) == ["lost: a gate compares with its inference rate, which is not known yet"]


@pytest.mark.parametrize(
    ("rollout", "report"),
    [
        (GATED, RUNS_V1),  # no gate needs the rate
        (RATED, replace(RUNS_V1, inferences=RUNS_V1.inferences + MIN_INFERENCES)),
        (RATED, replace(RUNS_V1, running=None)),  # there is no rate to compare with
    ],
)
def test_a_gate_that_can_be_evaluated_delays_nothing(
    state: StateWriter, rollout: Rollout, report: DeviceReport
) -> None:
    one = OneDevice(state, rollout=rollout, outcomes=[Confirmed(RUNS_V2)])
    one.session.bodies[ReportKind.REPORT] = report
    assert one.run(INSTALL) == ["confirmed, sequence 4"]


def test_without_gates_a_device_is_not_asked_what_it_counted(state: StateWriter) -> None:
    one = OneDevice(state, bodies={ReportKind.REPORT: RUNS_V1}, outcomes=[Confirmed(RUNS_V2)])
    assert one.run(INSTALL) == ["confirmed, sequence 4"]


def test_the_report_that_an_order_is_based_on_is_recorded(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Lost(SILENCE)])
    one.session.bodies[ReportKind.REPORT] = replace(RUNS_V1, anomalies=99)
    one.run(INSTALL)
    recorded = one.inventory.report_of(DEVICE)
    assert recorded is not None
    assert recorded.anomalies == 99


def test_the_baseline_is_what_the_device_was_before_the_first_try(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Lost(SILENCE), Lost(SILENCE)])
    one.run(INSTALL)
    before = one.inventory.evidence.baseline(DEVICE)
    assert before is not None
    one.session.bodies[ReportKind.REPORT] = replace(RUNS_V2, counter=50)  # it has not said so until now
    one.run(INSTALL)
    assert len(one.session.jobs) == 2
    assert one.inventory.evidence.baseline(DEVICE) == before


def test_nothing_is_sent_to_a_clone(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2)])
    for counter in (50, 2, 51, 3, 52):
        one.inventory.record_report(DEVICE, replace(RUNS_V1, counter=counter), NOON, asked=True)
    one.session.bodies[ReportKind.REPORT] = replace(RUNS_V1, counter=4)
    assert one.run(INSTALL) == ["lost: two devices answer under its name"]


def test_nothing_is_sent_to_a_device_with_unknown_capabilities(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2)])
    one.inventory.forget(DEVICE)
    assert one.run(INSTALL) == [f"lost: {SILENCE}"]
    assert one.session.jobs == []


def test_a_device_that_was_not_polled_yet_is_asked_for_its_capabilities(state: StateWriter) -> None:
    one = OneDevice(state, outcomes=[Confirmed(RUNS_V2)])
    one.inventory.forget(DEVICE)
    one.session.bodies[ReportKind.CAPABILITIES] = CAPABILITIES
    assert one.run(INSTALL) == ["confirmed, sequence 4"]
    assert len(one.session.jobs) == 1
    assert one.inventory.capabilities_of(DEVICE) == CAPABILITIES


def test_a_pack_that_the_store_lost_is_forgotten_and_built_again(state: StateWriter) -> None:
    one = OneDevice(state)
    one.store.lost = True
    assert one.run(INSTALL) == ["lost: the store is empty"]
    assert one.run(INSTALL) == ["lost: the store is empty"]  # no second delivery: the pack must be built first
    assert one.session.jobs == []


class LosingSession(ScriptedSession):
    """A session during which the store loses the pack that is being sent."""

    one: OneDevice

    async def carry_out(self, job: TransferJob) -> tuple[Outcome, TransferCost]:
        one = self.one
        one.store.lost = True
        artifact = one.artifacts.available(one.desired).by_key[V2, ESP32.name]
        with pytest.raises(Unusable):
            one.artifacts.pack(one.desired, artifact)  # as the update of another device does
        return await super().carry_out(job)


def test_a_pack_that_failed_after_the_store_lost_it_is_quarantined(state: StateWriter) -> None:
    """It may be built again, and then it must not be sent again."""
    one = OneDevice(state)
    one.session = session = LosingSession(one.bodies, [TrialFailed(FAILED)])
    session.one = one
    assert one.run(INSTALL) == [describe_failed_trial(-87)]
    assert one.inventory.report_of(DEVICE) == FAILED
    assert one.why_quarantined == describe_failed_trial(-87)
    assert state.quarantined() != []


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        *((Rejected(code, "offering"), describe_refusal(code, "offering")) for code in DeviceErrorCode),
        (Lost("no answer to 6 questions"), "lost: no answer to 6 questions"),
    ],
)
def test_what_nobody_signed_quarantines_nothing(state: StateWriter, outcome: Outcome, message: str) -> None:
    one = OneDevice(state, outcomes=[outcome])
    raw_may_help = isinstance(outcome, Rejected) and outcome.code in RAW_MAY_HELP
    assert one.run(INSTALL) == [f"lost: {message}; the next try sends the pack raw" if raw_may_help else message]
    assert one.why_quarantined is None
    assert state.quarantined() == []
