# SPDX-License-Identifier: Apache-2.0
"""Deliveries start once, end on their own or are cancelled, and pause after a failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from reconciler.devices.conversation import Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.engine.backoff import JITTER
from reconciler.engine.delivery.deliveries import FIRST_PAUSE_S, MAX_PAUSE_S, Delivered, Deliveries
from reconciler.engine.delivery.still_wanted import Purpose
from reconciler.model import DeviceId, RolloutId
from tests.engine.reports import PUMP, report

PURPOSE = Purpose(RolloutId("r"), None, {})
CONFIRMED = Confirmed(report(1, sequence=4))


class Recorder:
    """Deliveries, and how they ended."""

    def __init__(self) -> None:
        self.done: list[Delivered] = []
        self.cancelled = 0
        self.deliveries = Deliveries(self.done.append, self._count, random.Random(1))

    def _count(self) -> None:
        self.cancelled += 1

    def start(self, work: Callable[[], Awaitable[Outcome]]) -> None:
        self.deliveries.start(PUMP, "in a few words", PURPOSE, work)

    async def run(self, outcome: Outcome) -> None:
        async def work() -> Outcome:
            return outcome

        self.start(work)
        while self.deliveries.running:  # noqa: ASYNC110 - as a pass does, which the end of a delivery wakes
            await asyncio.sleep(0)


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (CONFIRMED, "confirmed, sequence 4"),
        (Lost("silence"), "lost: silence"),
        (Rejected(-20, "offering"), "refused while offering with -20: it has already accepted this or a later order"),
        (TrialFailed(report(1)), "the trial failed with 0"),
    ],
)
def test_each_outcome_has_a_message(outcome: Outcome, message: str) -> None:
    async def run() -> None:
        recorder = Recorder()
        await recorder.run(outcome)
        assert [done.message for done in recorder.done] == [message]
        assert recorder.done[0].subject == "parameters of r"  # and not what was still to be done
        assert recorder.done[0].good is isinstance(outcome, Confirmed)

    asyncio.run(run())


def test_each_failure_doubles_the_pause_and_success_ends_it() -> None:
    async def run() -> None:
        recorder = Recorder()
        for failures in range(10):
            await recorder.run(Lost("silence"))
            wait_s = recorder.deliveries.next_try_in_s(now_s())
            assert wait_s is not None
            expected_s = min(FIRST_PAUSE_S * 2**failures, MAX_PAUSE_S)
            assert expected_s - 1 <= wait_s <= expected_s * (1 + JITTER)
            assert not recorder.deliveries.may_start(PUMP, now_s())
        assert recorder.deliveries.waiting == {PUMP: "lost: silence"}
        await recorder.run(CONFIRMED)
        assert recorder.deliveries.may_start(PUMP, now_s())
        assert recorder.deliveries.waiting == {}

    asyncio.run(run())


def test_a_device_that_is_back_may_be_tried_at_once() -> None:
    async def run() -> None:
        recorder = Recorder()
        await recorder.run(Lost("silence"))
        recorder.deliveries.retry_now(PUMP)
        assert recorder.deliveries.may_start(PUMP, now_s())
        assert recorder.deliveries.next_try_in_s(now_s()) is None

    asyncio.run(run())


def test_when_a_link_is_back_all_devices_may_be_tried_at_once() -> None:
    async def run() -> None:
        recorder = Recorder()
        await recorder.run(Lost("silence"))
        recorder.deliveries.retry_all_now()
        assert recorder.deliveries.may_start(PUMP, now_s())

    asyncio.run(run())


def test_a_refusal_pauses_for_its_whole_time() -> None:
    """Who can forge refusals can also forge that a device connects, and can cut the link."""

    async def run() -> None:
        recorder = Recorder()
        await recorder.run(Rejected(-16, "offering"))
        recorder.deliveries.retry_now(PUMP)
        recorder.deliveries.retry_all_now()
        assert not recorder.deliveries.may_start(PUMP, now_s())
        assert recorder.deliveries.may_start(PUMP, now_s() + FIRST_PAUSE_S * (1 + JITTER))

    asyncio.run(run())


def test_one_delivery_at_a_time_reaches_a_device_and_a_pause_ends_on_time() -> None:
    async def run() -> None:
        recorder = Recorder()
        recorder.start(forever)
        assert not recorder.deliveries.may_start(PUMP, now_s())
        recorder.deliveries.retry_now(DeviceId("other"))  # it never failed
        await recorder.deliveries.stop()
        await recorder.run(Lost("silence"))
        ends_s = recorder.deliveries.next_try_in_s(0.0)
        assert ends_s is not None
        assert recorder.deliveries.may_start(PUMP, ends_s)
        assert recorder.deliveries.next_try_in_s(ends_s) is None, "or passes would follow each other without a rest"

    asyncio.run(run())


@pytest.mark.parametrize("steps", [0, 3])
def test_a_cancelled_delivery_makes_room_whether_its_task_ran_or_not(steps: int) -> None:
    async def run() -> None:
        recorder = Recorder()
        recorder.start(forever)
        for _ in range(steps):
            await asyncio.sleep(0)
        recorder.deliveries.cancel(PUMP, "the window closed")
        recorder.deliveries.cancel(PUMP, "a second time")
        recorder.deliveries.cancel(DeviceId("other"), "was never started")
        for _ in range(5):
            await asyncio.sleep(0)
        assert recorder.deliveries.may_start(PUMP, now_s())  # not a failure, so no pause
        assert (recorder.cancelled, recorder.done) == (1, [])

    asyncio.run(run())


async def forever() -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def test_a_bug_in_one_delivery_is_logged_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def bug() -> Outcome:
        raise ZeroDivisionError

    async def run() -> None:
        recorder = Recorder()
        recorder.start(bug)
        while recorder.deliveries.running:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert recorder.done[0].message == "lost: a bug of the gateway, see its log"

    asyncio.run(run())
    assert "ZeroDivisionError" in caplog.text


def test_stop_cancels_every_delivery() -> None:
    async def run() -> None:
        recorder = Recorder()
        recorder.start(forever)
        await recorder.deliveries.stop()
        assert recorder.deliveries.running == {}

    asyncio.run(run())
