# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from reconciler.devices.rate_limiter import Limiter
from reconciler.model import GatewayLimits


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that each want a place, and hold it until they are told to go."""

    def __init__(self, limiter: Limiter, count: int) -> None:
        self.inside: list[int] = []
        self._leave = [asyncio.Event() for _ in range(count)]
        self.tasks = [asyncio.create_task(self._one(limiter, number)) for number in range(count)]

    async def _one(self, limiter: Limiter, number: int) -> None:
        async with limiter.place():
            self.inside.append(number)
            await self._leave[number].wait()
            self.inside.remove(number)

    async def leave(self, number: int) -> None:
        self._leave[number].set()
        await settle()


def test_no_more_than_allowed_are_inside_and_the_first_come_go_first() -> None:
    async def scene() -> None:
        crowd = Crowd(Limiter(GatewayLimits(transfers=2)), 4)
        await settle()
        assert crowd.inside == [0, 1]
        await crowd.leave(1)
        assert crowd.inside == [0, 2]
        for number in (0, 2, 3):
            await crowd.leave(number)
        assert crowd.inside == []

    asyncio.run(scene())


def test_limits_that_change_are_heeded_at_once_for_who_waits() -> None:
    async def scene() -> None:
        limiter = Limiter(GatewayLimits(transfers=1))
        crowd = Crowd(limiter, 4)
        await settle()
        limiter.change(GatewayLimits(transfers=3))
        await settle()
        assert crowd.inside == [0, 1, 2]
        limiter.change(GatewayLimits(transfers=1))
        await crowd.leave(0)
        assert crowd.inside == [1, 2]  # nobody is thrown out, and nobody comes in
        await crowd.leave(1)
        await crowd.leave(2)
        assert crowd.inside == [3]
        await crowd.leave(3)

    asyncio.run(scene())


@pytest.mark.parametrize("when", ["waiting", "called in that moment"])
def test_one_that_is_called_off_takes_no_place_along(when: str) -> None:
    async def scene() -> None:
        limiter = Limiter(GatewayLimits(transfers=1))
        crowd = Crowd(limiter, 3)
        await settle()
        if when == "waiting":
            crowd.tasks[1].cancel()
            await settle()
            await crowd.leave(0)
        else:
            crowd._leave[0].set()
            while crowd.inside:  # noqa: ASYNC110 - between two steps of the loop is the moment that is meant
                await asyncio.sleep(0)
            crowd.tasks[1].cancel()  # its turn has come, and it has not run yet
            await settle()
        assert crowd.inside == [2]
        await crowd.leave(2)

    asyncio.run(scene())


def test_bytes_are_lent_and_paid_back_by_waiting() -> None:
    limiter = Limiter(GatewayLimits(bytes_per_second=100))
    assert limiter.wait_s(200, 10.0) == pytest.approx(0.0)
    assert limiter.wait_s(100, 10.5) == pytest.approx(1.5)
    assert limiter.wait_s(100, 20.0) == pytest.approx(0.0)  # what was not used is not saved up
    limiter.change(GatewayLimits(bytes_per_second=None))
    assert limiter.wait_s(10**9, 20.0) == pytest.approx(0.0)


def test_a_place_of_two_limits_is_given_back_to_both() -> None:
    async def scene() -> None:
        link, gateway = Limiter(GatewayLimits(transfers=1)), Limiter(GatewayLimits(transfers=1))
        for _ in range(2):
            async with AsyncExitStack() as places:
                await places.enter_async_context(link.place())
                await places.enter_async_context(gateway.place())

    asyncio.run(scene())
