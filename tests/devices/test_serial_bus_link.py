# SPDX-License-Identifier: Apache-2.0
"""The serial link and its fairness, on a simulated line in simulated time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.devices.conversation import Answered, Confirmed, Lost, Outcome
from reconciler.devices.errors import LineDown, LinkUnusable
from reconciler.devices.line_quality import LineQuality, best_block_bytes
from reconciler.devices.link import AnswerReceived, LinkState
from reconciler.devices.link_session import UNSOLICITED_MAX, LinkSession
from reconciler.devices.messages import ReportKind, TransferResult, encode
from reconciler.devices.reports import DeviceReport
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.serial_frame import encode_frame
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.devices.transfer_limiter import TransferLimiter
from reconciler.model import DeviceId, GatewayLimits
from tests.devices.fake_device import FakeDevice, FakeStation, job_for, open_fake

T = TypeVar("T")
PAYLOAD = random.Random(1).randbytes(4096)
A, B, C = DeviceId("a"), DeviceId("b"), DeviceId("c")
NO_LIMITS = GatewayLimits()


def on_a_line(
    line: SimulatedLine, what: Callable[[LinkSession], Awaitable[T]], limits: GatewayLimits = NO_LIMITS
) -> tuple[T, float, LinkSession]:
    """Run a coroutine with the devices a, b, c at the addresses 1, 2, 3; also return how long it took."""

    async def main() -> tuple[T, float, LinkSession]:
        fleet = LinkSession(SerialLink(line, {A: 1, B: 2, C: 3}), open_fake, limiters=[TransferLimiter(limits)])
        running = asyncio.create_task(fleet.run())
        result = await what(fleet)
        running.cancel()
        return result, asyncio.get_running_loop().time(), fleet

    return run_simulated(main())


def stations(**mute: bool) -> list[FakeStation]:
    return [FakeStation(number, FakeDevice(), mute=mute.get(name, False)) for number, name in enumerate("abc", 1)]


async def report_of(fleet: LinkSession, device: DeviceId) -> Outcome:
    return await fleet.ask(device, ReportKind.REPORT)


def test_a_question_costs_its_bytes_and_turnarounds() -> None:
    line = SimulatedLine(stations())
    outcome, took_s, _ = on_a_line(line, lambda fleet: report_of(fleet, A))
    assert isinstance(outcome, Answered)
    assert isinstance(outcome.body, DeviceReport)
    assert took_s == pytest.approx((line.sent_bytes + line.received_bytes) * 10 / 2400 + 0.005, abs=0.004)


def test_an_update_over_2400_baud_arrives_intact() -> None:
    line_stations = stations()

    async def update(fleet: LinkSession) -> Outcome:
        return (await fleet.update(job_for("b", PAYLOAD, block_bytes=512)))[0]

    outcome, took_s, _ = on_a_line(SimulatedLine(line_stations), update)
    assert isinstance(outcome, Confirmed)
    assert line_stations[1].device.content() == PAYLOAD
    assert took_s < len(PAYLOAD) * 10 / 2400 * 1.12


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 4e-4), st.integers(0, 1 << 30), st.booleans())
def test_an_update_gets_through_noise(rate: float, seed: int, framing_errors: bool) -> None:  # noqa: FBT001  # drawn
    line_stations = stations()

    async def update(fleet: LinkSession) -> Outcome:
        outcome: Outcome = Lost("not begun")
        for _ in range(5):
            outcome, _ = await fleet.update(job_for("a", PAYLOAD, block_bytes=128))
            if not isinstance(outcome, Lost):
                break
        return outcome

    line = SimulatedLine(line_stations, bit_error_rate=rate, seed=seed, framing_errors=framing_errors)
    outcome, _, _ = on_a_line(line, update)
    assert isinstance(outcome, Confirmed)
    assert line_stations[0].device.content() == PAYLOAD


def test_a_silent_device_uses_only_its_share_of_the_line() -> None:
    async def both(fleet: LinkSession) -> float:
        silent = asyncio.create_task(fleet.update(job_for("a", PAYLOAD)))
        alive = await fleet.update(job_for("b", PAYLOAD, block_bytes=512))
        assert isinstance(alive[0], Confirmed)
        took_s = asyncio.get_running_loop().time()
        assert isinstance((await silent)[0], Lost)
        return took_s

    alone_s, _, _ = on_a_line(SimulatedLine(stations()), both_alone)
    with_silent_s, _, _ = on_a_line(SimulatedLine(stations(a=True)), both)
    assert with_silent_s < 2 * alone_s
    assert with_silent_s - alone_s < 6 * 2.6  # six offers, with a timeout of slightly more than 2 s each


def test_a_device_that_stays_silent_is_asked_less_often_until_it_returns() -> None:
    line_stations = stations(a=True)

    async def ask_often(fleet: LinkSession) -> list[float]:
        costs = []
        for _ in range(4):
            began_s = asyncio.get_running_loop().time()
            assert isinstance(await fleet.ask(A, ReportKind.REPORT), Lost)
            costs.append(asyncio.get_running_loop().time() - began_s)
        line_stations[0].mute = False
        assert isinstance(await fleet.ask(A, ReportKind.REPORT), Answered)
        assert isinstance(await fleet.ask(A, ReportKind.REPORT), Answered)
        return costs

    costs, _, fleet = on_a_line(SimulatedLine(line_stations), ask_often)
    assert costs[0] > 5 * max(costs[1:])
    assert fleet.link.statistics.questions == 6 + 3 + 2


async def both_alone(fleet: LinkSession) -> float:
    await fleet.update(job_for("b", PAYLOAD, block_bytes=512))
    return asyncio.get_running_loop().time()


def test_a_question_waits_for_one_block_not_for_a_burst() -> None:
    async def ask_during_an_update(fleet: LinkSession) -> float:
        update = asyncio.create_task(fleet.update(job_for("a", PAYLOAD * 4, block_bytes=1024)))
        await asyncio.sleep(10)
        asked_s = asyncio.get_running_loop().time()
        assert isinstance(await fleet.ask(B, ReportKind.REPORT), Answered)
        took_s = asyncio.get_running_loop().time() - asked_s
        assert isinstance((await update)[0], Confirmed)
        return took_s

    took_s, _, _ = on_a_line(SimulatedLine(stations()), ask_during_an_update)
    assert took_s < 1050 * 10 / 2400 + 1


def test_two_updates_share_the_line_evenly() -> None:
    async def two(fleet: LinkSession) -> tuple[float, float]:
        async def timed(name: str) -> float:
            await fleet.update(job_for(name, PAYLOAD, block_bytes=256))
            return asyncio.get_running_loop().time()

        return await asyncio.gather(timed("a"), timed("b"))

    (first_s, second_s), _, _ = on_a_line(SimulatedLine(stations()), two)
    assert abs(first_s - second_s) < 0.1 * max(first_s, second_s)


def test_limits_of_transfers_and_bytes() -> None:
    async def two(fleet: LinkSession) -> tuple[float, float]:
        async def timed(name: str) -> float:
            await fleet.update(job_for(name, PAYLOAD, block_bytes=256))
            return asyncio.get_running_loop().time()

        return await asyncio.gather(timed("a"), timed("b"))

    fast = SimulatedLine(stations(), baud=115_200)
    (first_s, second_s), _, _ = on_a_line(fast, two, GatewayLimits(transfers=1, bytes_per_second=1000))
    assert second_s - first_s > 3.5  # one after the other, and 4,096 bytes at 1,000 a second


def test_bytes_that_are_not_frames_are_counted_and_skipped() -> None:
    class Babbler:
        def hear(self, data: bytes, now_s: float) -> bytes:
            del now_s
            return b"\x07garbage\0" if data.endswith(b"\0") else b""

    async def ask(fleet: LinkSession) -> Outcome:
        return await fleet.ask(A, ReportKind.REPORT)

    outcome, _, fleet = on_a_line(SimulatedLine([Babbler()]), ask)
    assert isinstance(outcome, Lost)
    assert fleet.link.statistics.frames_bad >= 6


def test_an_unlisted_address_is_counted_and_not_served() -> None:
    class TwoFaced:
        def __init__(self) -> None:
            self.faces = [FakeStation(1, FakeDevice()), FakeStation(1, FakeDevice())]

        def hear(self, data: bytes, now_s: float) -> bytes:
            said = self.faces[0].hear(data, now_s)
            return encode_frame(77, encode(TransferResult(None, 0))) + said if said else b""

    outcome, _, fleet = on_a_line(SimulatedLine([TwoFaced()]), lambda fleet: report_of(fleet, A))
    assert isinstance(outcome, Answered)
    assert fleet.link.statistics.unknown == {"address 77"}


def test_an_unsolicited_frame_of_another_device_is_forwarded() -> None:
    class Talkative:
        def __init__(self) -> None:
            self.device = FakeStation(1, FakeDevice())

        def hear(self, data: bytes, now_s: float) -> bytes:
            said = self.device.hear(data, now_s)
            return encode_frame(2, encode(TransferResult(None, 1))) + said if said else b""

    async def ask(fleet: LinkSession) -> list[object]:
        outcome = await fleet.ask(A, ReportKind.REPORT)
        events = fleet.unsolicited()
        return [outcome, await anext(events), await anext(events)]

    (outcome, up, received), _, _ = on_a_line(SimulatedLine([Talkative()]), ask)
    assert isinstance(outcome, Answered)
    assert up == LinkState(up=True)
    assert received == AnswerReceived(B, TransferResult(None, 1), asked=False)


def test_a_line_that_goes_down_is_reopened() -> None:
    class Flaky(SimulatedLine):
        failures = 1
        refusals = 2

        async def open(self) -> None:
            if self.refusals == 1:
                self.refusals = 0
                raise LinkUnusable("not allowed")
            self.refusals -= 1

        async def send(self, data: bytes) -> None:
            if self.failures:
                self.failures -= 1
                raise LineDown("the cable was pulled")
            await super().send(data)

    async def ask(fleet: LinkSession) -> list[object]:
        outcome = await fleet.ask(A, ReportKind.REPORT)
        events = fleet.unsolicited()
        return [outcome, *[await anext(events) for _ in range(4)]]

    (outcome, *events), _, _ = on_a_line(Flaky(stations()), ask)
    assert isinstance(outcome, Answered)
    assert [event.up for event in events if isinstance(event, LinkState)] == [True, False, False, True]


def test_noise_is_estimated_from_answers() -> None:
    async def many(fleet: LinkSession) -> None:
        for _ in range(400):
            await fleet.ask(A, ReportKind.REPORT)

    _, _, fleet = on_a_line(SimulatedLine(stations(), bit_error_rate=2e-4, seed=4), many)
    assert 1e-4 < fleet.link.statistics.bit_error_rate < 4e-4
    assert fleet.link.block_bytes(1024) < 400


def test_the_block_size_follows_the_noise() -> None:
    noise = LineQuality()
    assert best_block_bytes(noise.bit_error_rate, 1024) == 688  # nothing received yet: neither clean nor bad
    for _ in range(200):
        noise.record_frame(180, bit_errors=0)
    assert best_block_bytes(noise.bit_error_rate, 1024) == 1024
    for _ in range(200):
        noise.record_frame(180, bit_errors=1)
    assert best_block_bytes(noise.bit_error_rate, 1024) < 300


def test_block_sizes_are_those_that_a_device_accepts() -> None:
    assert best_block_bytes(0.0, 512) == 512
    assert best_block_bytes(5e-5, 1024) in range(400, 600)
    assert best_block_bytes(0.5, 1024) == 64
    assert best_block_bytes(1e-3, 4096) % 16 == 0


def test_the_same_seed_gives_the_same_figures() -> None:
    async def update(fleet: LinkSession) -> Outcome:
        return (await fleet.update(job_for("a", PAYLOAD)))[0]

    def figures() -> tuple[int, int, float]:
        line = SimulatedLine(stations(), bit_error_rate=1e-4, seed=8)
        _, took_s, _ = on_a_line(line, update)
        return line.sent_bytes, line.received_bytes, took_s

    assert figures() == figures()


def test_an_unread_flood_does_not_grow_the_daemon() -> None:
    class Flooder:
        def hear(self, data: bytes, now_s: float) -> bytes:
            del data, now_s
            return encode_frame(2, encode(TransferResult(None, 1))) * 50

    async def ask(fleet: LinkSession) -> int:
        for _ in range(100):
            await fleet.ask(A, ReportKind.REPORT)
        return fleet._unsolicited.qsize()

    waiting, _, _ = on_a_line(SimulatedLine([Flooder()], baud=4_000_000), ask)
    assert 0 < waiting <= UNSOLICITED_MAX


def test_a_link_can_run_only_once() -> None:
    async def twice(fleet: LinkSession) -> None:
        await fleet.ask(A, ReportKind.REPORT)
        with pytest.raises(RuntimeError, match="already running"):
            await fleet.link.run()

    on_a_line(SimulatedLine(stations()), twice)


def test_a_line_that_echoes_does_not_shorten_the_wait_for_a_slow_device() -> None:
    class EchoingAndSlow(SimulatedLine):
        async def send(self, data: bytes) -> None:
            await super().send(data)
            self._heard.put_nowait(data)

        def _answer(self, talker: int, data: bytes) -> None:
            asyncio.get_running_loop().call_later(1.5, super()._answer, talker, data)

    async def ask(fleet: LinkSession) -> Outcome:
        assert isinstance(await fleet.ask(A, ReportKind.REPORT), Answered)
        return (await fleet.update(job_for("a", b"")))[0]

    outcome, _, fleet = on_a_line(EchoingAndSlow(stations()), ask)
    assert isinstance(outcome, Confirmed)
    assert fleet.link.statistics.silences == 0


@pytest.mark.parametrize("babble", [b"\x01\x02\0", b"\x07", encode_frame(2, encode(TransferResult(None, 1)))])
def test_endless_noise_does_not_block_the_line(babble: bytes) -> None:
    class Babbling(SimulatedLine):
        async def receive(self, within_s: float) -> bytes:
            await asyncio.sleep(min(within_s, 0.01))
            return babble

    outcome, took_s, _ = on_a_line(Babbling(), lambda fleet: report_of(fleet, A))
    assert isinstance(outcome, Lost)
    assert took_s < 6 * (2.1 + 5.1)
