# SPDX-License-Identifier: Apache-2.0
"""What links report between passes: only verified reports change what is known, and appearances end pauses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from reconciler.devices.conversation import Lost, Outcome
from reconciler.devices.link import AnswerReceived, LinkState, Presence
from reconciler.devices.messages import Signed
from reconciler.devices.reports import encode_body
from reconciler.engine.delivery.deliveries import Deliveries
from reconciler.engine.delivery.still_wanted import Purpose
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.learning_ledger import LearningLedger
from reconciler.engine.observed.report_verifier import NotAuthentic, ReportVerifier
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.observed.trust import MAX_REFUSALS
from reconciler.engine.polling.link_events import LinkEventHandler
from reconciler.engine.polling.poller import Poller, PollerPorts
from reconciler.engine.state.writer import StateWriter
from reconciler.model import DeviceId, RolloutId
from tests.engine.reports import PUMP, FixedClock, report

FORGED = b"forged"
NEVER_S = 3600.0  # an interval that ends in no test


class BodyVerifier(ReportVerifier):
    """Accepts every message as its own body, except for one message."""

    def open_signed(self, device: DeviceId, cose: bytes, nonce: bytes) -> bytes:
        assert nonce == b""  # unsolicited
        if cose == FORGED:
            raise NotAuthentic(f"{device}: SIGNATURE")
        return cose


class NoLinks:
    """Links that lead nowhere: nothing is asked here."""

    async def ready(self, _device: DeviceId) -> None:
        return None


class Handled:
    """A handler with all its parts."""

    def __init__(self, state: StateWriter) -> None:
        self.inventory = Inventory(state)
        self.wakes = 0
        ports = PollerPorts(self.inventory, Summaries(state), LearningLedger(), FixedClock(), NoLinks())  # type: ignore[arg-type]  # of the links only `ready` is used
        self.poller = Poller(ports, lambda _device: False, lambda _device: None, random.Random(1))
        self.deliveries = Deliveries(lambda _done: None, lambda: None, random.Random(1))
        self._handler = LinkEventHandler(ports, BodyVerifier(), self.poller, self.deliveries, self._wake)
        self.handle = self._handler.handle

    def _wake(self) -> None:
        self.wakes += 1

    async def fail_a_delivery(self) -> None:
        async def work() -> Outcome:
            return Lost("no answer")

        self.deliveries.start(PUMP, "an update", Purpose(RolloutId("r"), None, {}), work)
        while self.deliveries.running:  # noqa: ASYNC110 - as a pass does, which the end of a delivery wakes
            await asyncio.sleep(0)

    @property
    def pauses(self) -> bool:
        return not self.deliveries.may_start(PUMP, asyncio.get_running_loop().time())


Run = Callable[[Callable[[Handled], Awaitable[None]]], None]


@pytest.fixture
def run(state: StateWriter) -> Run:
    def started(check: Callable[[Handled], Awaitable[None]]) -> None:
        async def checked() -> None:
            handled = Handled(state)
            try:
                await asyncio.wait_for(check(handled), 20)
            finally:
                await handled.poller.stop()

        asyncio.run(checked())

    return started


def test_a_verified_report_is_recorded_and_wakes_a_pass(run: Run) -> None:
    async def check(handled: Handled) -> None:
        handled.handle(AnswerReceived(PUMP, Signed(encode_body(report(5))), asked=False))
        assert handled.inventory.report_of(PUMP) == report(5)
        assert handled.wakes == 1
        handled.handle(AnswerReceived(PUMP, Signed(encode_body(report(5))), asked=False))  # a replay
        assert handled.wakes == 1

    run(check)


def test_refused_messages_change_nothing_and_wake_one_pass_when_there_are_too_many(run: Run) -> None:
    async def check(handled: Handled) -> None:
        for _ in range(MAX_REFUSALS + 3):
            handled.handle(AnswerReceived(PUMP, Signed(FORGED), asked=False))
        assert handled.inventory.records == {}
        assert handled.inventory.trust.refused[PUMP].count == MAX_REFUSALS + 3
        assert handled.wakes == 1

    run(check)


def test_a_body_that_can_not_be_parsed_is_refused(run: Run) -> None:
    async def check(handled: Handled) -> None:
        handled.handle(AnswerReceived(PUMP, Signed(b"\xff"), asked=False))
        assert handled.inventory.trust.refused[PUMP].count == 1

    run(check)


def test_a_device_that_appears_may_be_tried_at_once(run: Run) -> None:
    async def check(handled: Handled) -> None:
        await handled.fail_a_delivery()
        assert handled.pauses
        handled.handle(Presence(PUMP, present=False))
        assert handled.pauses
        handled.handle(Presence(PUMP, present=True))
        assert not handled.pauses

    run(check)


def test_a_link_that_comes_up_ends_all_pauses(run: Run) -> None:
    async def check(handled: Handled) -> None:
        await handled.fail_a_delivery()
        handled.handle(LinkState(up=False, why="unplugged"))
        assert handled.pauses
        handled.handle(LinkState(up=True))
        assert not handled.pauses
        assert handled.wakes == 2

    run(check)
