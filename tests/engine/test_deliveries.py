# SPDX-License-Identifier: Apache-2.0
"""Deliveries begin once, end on their own or are called off, and pause after a failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from reconciler.devices.conversation import Confirmed, Lost, Outcome, Rejected, TrialFailed
from reconciler.engine.delivery.deliveries import FIRST_PAUSE_S, JITTER, LONGEST_PAUSE_S, Delivered, Deliveries, Purpose
from reconciler.model import DeviceId, RolloutId
from tests.engine.test_drift import report

PUMP = DeviceId("pump-1")
PURPOSE = Purpose(RolloutId("r"), None, {})
CONFIRMED = Confirmed(report(1, sequence=4))


class Scene:
    """Deliveries, and what they told."""

    def __init__(self) -> None:
        self.done: list[Delivered] = []
        self.called_off = 0
        self.deliveries = Deliveries(self.done.append, self._count, random.Random(1))

    def _count(self) -> None:
        self.called_off += 1

    def start(self, work: Callable[[], Awaitable[Outcome]]) -> None:
        self.deliveries.start(PUMP, "in a few words", PURPOSE, work)

    async def run(self, outcome: Outcome) -> None:
        async def work() -> Outcome:
            return outcome

        self.start(work)
        while self.deliveries.running:  # noqa: ASYNC110 - as a pass does, which is woken by `done`
            await asyncio.sleep(0)


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (CONFIRMED, "confirmed, sequence 4"),
        (Lost("silence"), "lost: silence"),
        (Rejected(-20, "offering"), "refused while offering with -20: it has already accepted this or a later order"),
        (TrialFailed(report(1)), "the trial failed with 0"),
    ],
)
def test_an_end_is_told_in_words(outcome: Outcome, words: str) -> None:
    async def scene() -> None:
        made = Scene()
        await made.run(outcome)
        assert [done.words for done in made.done] == [words]
        assert made.done[0].good is isinstance(outcome, Confirmed)

    asyncio.run(scene())


def test_each_failure_makes_the_pause_longer_and_success_ends_it() -> None:
    async def scene() -> None:
        made = Scene()
        for failures in range(10):
            await made.run(Lost("silence"))
            wait_s = made.deliveries.next_try_in_s(now_s())
            assert wait_s is not None
            expected_s = min(FIRST_PAUSE_S * 2**failures, LONGEST_PAUSE_S)
            assert expected_s - 1 <= wait_s <= expected_s * (1 + JITTER)
            assert not made.deliveries.may_start(PUMP, now_s())
        assert made.deliveries.waiting == {PUMP: "lost: silence"}
        await made.run(CONFIRMED)
        assert made.deliveries.may_start(PUMP, now_s())

    asyncio.run(scene())


def test_a_device_that_is_back_is_tried_at_once() -> None:
    async def scene() -> None:
        made = Scene()
        await made.run(Lost("silence"))
        made.deliveries.forgive(PUMP)
        assert made.deliveries.may_start(PUMP, now_s())
        assert made.deliveries.next_try_in_s(now_s()) is None

    asyncio.run(scene())


def test_when_a_link_is_back_all_are_tried_at_once() -> None:
    async def scene() -> None:
        made = Scene()
        await made.run(Lost("silence"))
        made.deliveries.forgive_all()
        assert made.deliveries.may_start(PUMP, now_s())

    asyncio.run(scene())


@pytest.mark.parametrize("steps", [0, 3])
def test_one_that_is_called_off_makes_room_whether_it_had_begun_or_not(steps: int) -> None:
    async def scene() -> None:
        made = Scene()
        made.start(forever)
        for _ in range(steps):
            await asyncio.sleep(0)
        made.deliveries.cancel(PUMP, "the window closed")
        made.deliveries.cancel(PUMP, "again")
        made.deliveries.cancel(DeviceId("nobody"), "was never begun")
        for _ in range(5):
            await asyncio.sleep(0)
        assert made.deliveries.may_start(PUMP, now_s())  # no failure, so no pause
        assert (made.called_off, made.done) == (1, [])

    asyncio.run(scene())


async def forever() -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def test_a_bug_in_one_delivery_is_told_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def bug() -> Outcome:
        raise ZeroDivisionError

    async def scene() -> None:
        made = Scene()
        made.start(bug)
        while made.deliveries.running:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert made.done[0].words == "lost: a bug of the gateway, see its log"

    asyncio.run(scene())
    assert "ZeroDivisionError" in caplog.text


def test_stopping_cuts_everything_off() -> None:
    async def scene() -> None:
        made = Scene()
        made.start(forever)
        await made.deliveries.stop()
        assert made.deliveries.running == {}

    asyncio.run(scene())
