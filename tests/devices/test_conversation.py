# SPDX-License-Identifier: Apache-2.0
"""Inquiries: asking one device for one body."""

from __future__ import annotations

import pytest

from reconciler.devices.conversation import Answered, ConversationStep, Inquiry, Lost
from reconciler.devices.messages import Have, Inquire, ReportKind, Signed, TransferResult
from reconciler.devices.reports import DeviceReport, ParametersBody, encode_body
from reconciler.model import DeviceId
from tests.devices.fake_device import FakeDevice, open_fake

A = DeviceId("a")


def inquiry(what: ReportKind = ReportKind.REPORT) -> Inquiry:
    nonces = iter(range(100))
    return Inquiry(
        A,
        what,
        open_signed=lambda cose, nonce: open_fake(A, cose, nonce),
        make_nonce=lambda: next(nonces).to_bytes(8, "big"),
    )


def asked(step: ConversationStep) -> Inquire:
    assert step.turn
    assert isinstance(step.turn.question, Inquire)
    return step.turn.question


def test_an_answer_to_the_question_is_accepted() -> None:
    asking, device = inquiry(), FakeDevice()
    answer = device.answer(asked(asking.begin(0.0)))
    assert answer
    asking.heard(answer, 1.0)
    assert isinstance(asking.outcome, Answered)
    assert isinstance(asking.outcome.body, DeviceReport)


def test_a_late_answer_to_the_first_question_is_accepted() -> None:
    asking, device = inquiry(), FakeDevice()
    late = device.answer(asked(asking.begin(0.0)))
    asking.silent(10.0)
    assert late
    asking.heard(late, 11.0)
    assert isinstance(asking.outcome, Answered)


def test_an_answer_to_another_question_is_ignored() -> None:
    first, second, device = inquiry(), inquiry(), FakeDevice()
    asked(first.begin(0.0))
    stale = device.answer(Inquire(ReportKind.REPORT, b"replayed"))
    second.begin(0.0)
    assert stale
    assert second.heard(stale, 1.0) is None
    assert second.outcome is None


@pytest.mark.parametrize(
    "answer",
    [
        Have(1, 0, b""),
        TransferResult(None, 1),
        TransferResult(None, -93),  # it is not signed
        Signed(b"\x08" + bytes(8) + b"\x80"),  # the signature is valid, but there is no body
        Signed(b"\x08" + bytes(8) + encode_body(ParametersBody(None))),  # not the body that was asked for
    ],
)
def test_an_answer_of_another_kind_is_ignored(answer: Have | TransferResult | Signed) -> None:
    asking = inquiry()
    asking.begin(0.0)
    assert asking.heard(answer, 1.0) is None
    assert asking.outcome is None


def test_an_inquiry_without_a_usable_answer_ends() -> None:
    asking = inquiry()
    asking.begin(0.0)
    for second in range(3):
        asking.silent(second)
        asking.woken(second + 0.5)
    assert asking.outcome == Lost("no answer to 6 questions")
