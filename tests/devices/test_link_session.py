# SPDX-License-Identifier: Apache-2.0
"""A session's typed questions return the body that was asked for, or why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from reconciler.devices.conversation import Answered, Lost, Outcome, Rejected
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import Body, CapabilitiesBody, ParametersBody, Summary
from reconciler.model import DeviceId
from tests.engine.reports import PUMP, report

BODIES: Mapping[ReportKind, Body] = {
    ReportKind.REPORT: report(1),
    ReportKind.CAPABILITIES: CapabilitiesBody(
        "board", bytes(16), 1, b"\x01", 8192, 0, 512, 0, updates=True, prebaked=(), firmware="f"
    ),
    ReportKind.SUMMARY: Summary(bytes(16), 100, 3, 0, 0, None),
    ReportKind.PARAMETERS: ParametersBody(None, {1: 7}),
}


class ScriptedSession(LinkSession):
    """A session whose questions have these outcomes."""

    def __init__(self, outcomes: Mapping[ReportKind, Outcome]) -> None:
        self.outcomes = outcomes

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        assert device == PUMP
        return self.outcomes[what]


def answers(outcomes: Mapping[ReportKind, Outcome]) -> list[object]:
    async def ask() -> list[object]:
        session = ScriptedSession(outcomes)
        return [
            await session.report(PUMP),
            await session.capabilities(PUMP),
            await session.summary(PUMP),
            await session.parameters(PUMP),
        ]

    return asyncio.run(ask())


def test_each_question_returns_its_body() -> None:
    assert answers({kind: Answered(body) for kind, body in BODIES.items()}) == list(BODIES.values())


def test_a_silence_is_returned_as_it_is() -> None:
    silent = Lost("no answer to 6 questions")
    assert answers(dict.fromkeys(ReportKind, silent)) == [silent] * 4


@pytest.mark.parametrize("outcome", [Rejected(-13, "asking"), Answered(ParametersBody(None, {}))])
def test_another_answer_is_none(outcome: Outcome) -> None:
    report_answer, capabilities, summary, _ = answers(dict.fromkeys(ReportKind, outcome))
    assert report_answer == Lost("it did not send its report")
    assert capabilities == Lost("it did not send its capabilities")
    assert summary == Lost("it did not send its summary")
