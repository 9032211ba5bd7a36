# SPDX-License-Identifier: Apache-2.0
"""Devices on a serial line that need longer than 2 s to check or make a signature."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ReportKind
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.devices.transfer import TransferCost
from reconciler.engine.links import LINE_RETRY
from reconciler.model import DeviceId
from tests.devices.fake_device import FakeDevice, FakeStation, job_for, open_fake

T = TypeVar("T")
A = DeviceId("a")
PAYLOAD = random.Random(1).randbytes(4096)
CHECK_S = 6.0  # one question keeps the device busy for this long


class SlowLine(SimulatedLine):
    """A line whose devices take their time, answer question after question, and forget none meanwhile."""

    def __init__(self, busy_s: float) -> None:
        super().__init__([FakeStation(1, FakeDevice())])
        self._busy_s = busy_s
        self._free_s: dict[int, float] = defaultdict(float)

    def _answer(self, sender: int, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._free_s[sender] = max(loop.time(), self._free_s[sender]) + self._busy_s
        loop.call_at(self._free_s[sender], super()._answer, sender, data)


def on_a_slow_line(busy_s: float, told_s: float | None, what: Callable[[LinkSession], Awaitable[T]]) -> T:
    """Run a coroutine with a device that needs `busy_s` for each answer and has reported `told_s`."""

    async def main() -> T:
        link = SerialLink(SlowLine(busy_s), {A: 1})
        fleet = LinkSession(link, open_fake, retry=LINE_RETRY, answer_s_of=lambda _: told_s)
        running = asyncio.create_task(fleet.run())
        result = await what(fleet)
        running.cancel()
        return result

    return run_simulated(main())


def updated(told_s: float) -> tuple[Outcome, TransferCost]:
    job = replace(job_for("a", PAYLOAD, block_bytes=512), answer_s=told_s)
    return on_a_slow_line(CHECK_S, told_s, lambda fleet: fleet.update(job))


def test_a_device_that_told_its_answer_time_is_updated_without_a_repeated_question() -> None:
    outcome, cost = updated(6.5)
    assert isinstance(outcome, Confirmed)
    assert (cost.silences, cost.offers, cost.blocks_resent) == (0, 1, 0)


def test_without_it_the_same_device_is_lost() -> None:
    outcome, cost = updated(2.0)
    assert isinstance(outcome, Lost)
    assert cost.silences > 0


def test_a_device_that_has_not_told_is_given_twice_as_long_after_each_silence() -> None:
    async def meet(fleet: LinkSession) -> list[Outcome]:
        return [await fleet.ask(A, ReportKind.REPORT) for _ in range(3)]

    assert all(isinstance(each, Answered) for each in on_a_slow_line(5.0, None, meet))


def test_an_absent_device_does_not_hold_the_line_for_long() -> None:
    async def look_for(fleet: LinkSession) -> tuple[Outcome, float]:
        outcome = await fleet.ask(A, ReportKind.REPORT)
        return outcome, asyncio.get_running_loop().time()

    outcome, took_s = on_a_slow_line(1000.0, None, look_for)
    assert isinstance(outcome, Lost)
    assert 2 + 4 + 4 * 8 <= took_s < 2 + 4 + 4 * 8 + 6 * 0.5
