# SPDX-License-Identifier: Apache-2.0
"""What an update does after each result and each report (docs/specs/protocol.md, "How an update works")."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from reconciler.devices.conversation import UNASKED, Confirmed, ConversationStep, Rejected, TrialFailed
from reconciler.devices.messages import Answer, Have, Inquire, Offer, Question, Signed, Stage, TransferResult
from reconciler.devices.reports import Body, DecisionReason, OpenTransfer, Summary, encode_body
from reconciler.devices.transfer import Transfer, TransferJob
from reconciler.model import PayloadEncoding, Phase
from tests.devices.fake_device import DIGEST16, FakeDevice, job_for, open_fake

BLOCKS = 40  # more than one burst
JOB = job_for("a", random.Random(5).randbytes(64 * BLOCKS))
BEFORE = FakeDevice().report()  # newer than the report that led to the job, but the order has not arrived
ACCEPTED = replace(BEFORE, sequence=JOB.sequence)
OTHER16 = b"\xee" * 16
WORKING = TransferResult(JOB.transfer, 1)
NONE_HELD, ALL_HELD = Have(JOB.transfer, 0, b""), Have(JOB.transfer, BLOCKS, b"")


def after(*answers: Answer, job: TransferJob = JOB) -> Transfer:
    """Return a transfer that got these answers."""
    transfer = Transfer(
        job, open_signed=lambda cose, nonce: open_fake(job.device, cose, nonce), make_nonce=lambda: b"question"
    )
    transfer.begin(0.0)
    for answer in answers:
        assert transfer.heard(answer, 1.0)
    return transfer


def signed(body: Body, nonce: bytes) -> Signed:
    return Signed(bytes([len(nonce)]) + nonce + encode_body(body))


def answer_with(transfer: Transfer, body: Body) -> ConversationStep | None:
    """Let the device answer the question for its report."""
    asked = question_of(transfer.woken(2.0))
    assert isinstance(asked, Inquire)
    return transfer.heard(signed(body, asked.nonce), 3.0)


def question_of(step: ConversationStep | None) -> Question | None:
    return step.turn.question if step and step.turn else None


def receiving(first: int, phase: Phase = Phase.RECEIVING) -> Body:
    """Return the report of a device whose first missing block is this one."""
    shape = OpenTransfer(DIGEST16, PayloadEncoding.RAW, len(JOB.payload), JOB.block_bytes, first)
    return replace(ACCEPTED, phase=phase, transfer=shape)


# ---------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("answers", "code", "during"),
    [
        ((), -16, "offering"),
        ((), -72, "offering"),  # no offer can be refused like this
        ((NONE_HELD,), -16, "sending"),
        ((ALL_HELD,), -16, "staging"),
        ((ALL_HELD, ALL_HELD), -16, "staging"),
    ],
)
def test_a_refusal_counts_when_a_report_shows_that_the_order_was_not_accepted(
    answers: tuple[Answer, ...], code: int, during: str
) -> None:
    transfer = after(*answers, TransferResult(JOB.transfer, code))
    assert transfer.outcome is None
    answer_with(transfer, BEFORE)
    assert transfer.outcome == Rejected(code, during)


def test_a_device_that_forgot_the_transfer_after_the_stage_order_is_offered_it_again() -> None:
    transfer = after(ALL_HELD)
    assert question_of(transfer.heard(TransferResult(JOB.transfer, -72), 2.0)) == JOB.offer


def test_a_device_that_forgot_the_transfer_after_a_repeated_stage_order_may_have_obeyed_the_first() -> None:
    transfer = after(ALL_HELD, ALL_HELD, TransferResult(JOB.transfer, -72))
    answer_with(transfer, replace(ACCEPTED, phase=Phase.CONFIRMED, running=DIGEST16))
    assert isinstance(transfer.outcome, Confirmed)


@pytest.mark.parametrize("code", [-16, -72, -77])
def test_a_refusal_while_a_report_is_awaited_is_ignored(code: int) -> None:
    transfer = after(WORKING)
    step = transfer.heard(TransferResult(JOB.transfer, code), 2.0)
    assert step
    assert step.turn is None
    assert isinstance(question_of(answer_with(transfer, BEFORE)), Offer)
    assert transfer.outcome is None


# ---------------------------------------------------------------- which reports count


def test_an_unsolicited_report_with_the_sequence_of_the_order_counts() -> None:
    transfer = after(WORKING)
    transfer.heard(signed(replace(ACCEPTED, phase=Phase.CONFIRMED, running=DIGEST16), UNASKED), 2.0)
    assert isinstance(transfer.outcome, Confirmed)


def test_a_report_that_is_not_newer_than_the_one_before_the_order_is_ignored() -> None:
    confirmed = replace(ACCEPTED, phase=Phase.CONFIRMED, running=DIGEST16, counter=9)
    transfer = after(WORKING, job=replace(JOB, counter=9))
    assert answer_with(transfer, confirmed) is None
    assert transfer.outcome is None
    answer_with(transfer, replace(confirmed, counter=10))
    assert isinstance(transfer.outcome, Confirmed)


def test_a_signed_body_that_is_no_report_is_ignored() -> None:
    transfer = after(WORKING)
    assert answer_with(transfer, Summary(DIGEST16, 0, 0, 0, 0, None)) is None
    assert transfer.outcome is None


# ---------------------------------------------------------------- how an accepted order continues


@pytest.mark.parametrize(
    ("report", "question"),
    [
        (receiving(0), JOB.offer),
        (receiving(BLOCKS - 1), JOB.offer),
        (receiving(BLOCKS), Stage(JOB.transfer)),
        (replace(ACCEPTED, phase=Phase.RECEIVING), JOB.offer),
        (receiving(BLOCKS, Phase.CONFIRMED), JOB.offer),  # the order is closed
        (ACCEPTED, JOB.offer),
    ],
)
def test_an_order_without_a_verdict_continues_with_what_the_device_needs(report: Body, question: Question) -> None:
    assert question_of(answer_with(after(WORKING), report)) == question


def test_a_refused_offer_that_was_accepted_all_the_same_continues() -> None:
    transfer = after(TransferResult(JOB.transfer, -16))
    assert question_of(answer_with(transfer, receiving(BLOCKS))) == Stage(JOB.transfer)


@pytest.mark.parametrize("first", [0, BLOCKS])
def test_a_refused_stage_order_ends_the_update_although_the_offer_was_accepted(first: int) -> None:
    transfer = after(ALL_HELD, TransferResult(JOB.transfer, -16))
    answer_with(transfer, receiving(first))
    assert transfer.outcome == Rejected(-16, "staging")


@pytest.mark.parametrize("phase", [Phase.RECEIVING, Phase.STAGED, Phase.TRIAL])
@pytest.mark.parametrize(("running", "failed"), [(DIGEST16, None), (None, DIGEST16)])
def test_there_is_no_verdict_before_the_end_of_the_trial(
    phase: Phase, running: bytes | None, failed: bytes | None
) -> None:
    transfer = after(WORKING)
    assert answer_with(transfer, replace(ACCEPTED, phase=phase, running=running, failed=failed))
    assert transfer.outcome is None


# ---------------------------------------------------------------- verdicts

ON_TRIAL, OTHERWISE = DecisionReason.ON_TRIAL, DecisionReason.CONFIRMED


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.CONFIRMED])
@pytest.mark.parametrize(
    ("running", "failed", "why", "verdict"),
    [
        (DIGEST16, None, OTHERWISE, Confirmed),
        (DIGEST16, DIGEST16, OTHERWISE, Confirmed),  # it failed earlier
        (DIGEST16, DIGEST16, ON_TRIAL, TrialFailed),  # it runs until the restart
        (DIGEST16, OTHER16, ON_TRIAL, None),
        (OTHER16, DIGEST16, OTHERWISE, TrialFailed),
        (OTHER16, DIGEST16, ON_TRIAL, TrialFailed),
        (OTHER16, OTHER16, ON_TRIAL, None),
        (OTHER16, None, OTHERWISE, None),
    ],
)
def test_verdict_on_a_pack(
    phase: Phase, running: bytes, failed: bytes | None, why: DecisionReason, verdict: type | None
) -> None:
    transfer = after(WORKING)
    answer_with(transfer, replace(ACCEPTED, phase=phase, running=running, failed=failed, why=why))
    assert (type(transfer.outcome) if transfer.outcome else None) is verdict


@pytest.mark.parametrize("failed", [None, OTHER16])
@pytest.mark.parametrize("why", [ON_TRIAL, OTHERWISE])
def test_parameters_are_confirmed_by_the_sequence_alone(failed: bytes | None, why: DecisionReason) -> None:
    transfer = after(WORKING, job=replace(JOB, payload=b"", digest16=None))
    answer_with(transfer, replace(ACCEPTED, phase=Phase.CONFIRMED, running=failed, failed=failed, why=why))
    assert isinstance(transfer.outcome, Confirmed)
