# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from reconciler.devices.transfer_limiter import TransferLimiter
from reconciler.model import GatewayLimits


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that each wait for a permit, and hold it until they are released."""

    def __init__(self, limiter: TransferLimiter, count: int) -> None:
        self.inside: list[int] = []
        self._leave = [asyncio.Event() for _ in range(count)]
        self.tasks = [asyncio.create_task(self._one(limiter, number)) for number in range(count)]

    async def _one(self, limiter: TransferLimiter, number: int) -> None:
        async with limiter.permit():
            self.inside.append(number)
            await self._leave[number].wait()
            self.inside.remove(number)

    async def leave(self, number: int) -> None:
        self._leave[number].set()
        await settle()


def test_transfers_run_within_the_limit_in_order_of_arrival() -> None:
    async def scene() -> None:
        crowd = Crowd(TransferLimiter(GatewayLimits(transfers=2)), 4)
        await settle()
        assert crowd.inside == [0, 1]
        await crowd.leave(1)
        assert crowd.inside == [0, 2]
        for number in (0, 2, 3):
            await crowd.leave(number)
        assert crowd.inside == []

    asyncio.run(scene())


def test_new_limits_apply_to_waiting_transfers() -> None:
    async def scene() -> None:
        limiter = TransferLimiter(GatewayLimits(transfers=1))
        crowd = Crowd(limiter, 4)
        await settle()
        limiter.change(GatewayLimits(transfers=3))
        await settle()
        assert crowd.inside == [0, 1, 2]
        limiter.change(GatewayLimits(transfers=1))
        await crowd.leave(0)
        assert crowd.inside == [1, 2]  # no running transfer is interrupted, and none starts
        await crowd.leave(1)
        await crowd.leave(2)
        assert crowd.inside == [3]
        await crowd.leave(3)

    asyncio.run(scene())


@pytest.mark.parametrize("when", ["waiting", "admitted at the same time"])
def test_a_cancelled_transfer_releases_its_permit(when: str) -> None:
    async def scene() -> None:
        limiter = TransferLimiter(GatewayLimits(transfers=1))
        crowd = Crowd(limiter, 3)
        await settle()
        if when == "waiting":
            crowd.tasks[1].cancel()
            await settle()
            await crowd.leave(0)
        else:
            crowd._leave[0].set()
            while crowd.inside:  # noqa: ASYNC110 - the race needs exactly this step of the loop
                await asyncio.sleep(0)
            crowd.tasks[1].cancel()  # its turn has come, and it has not run yet
            await settle()
        assert crowd.inside == [2]
        await crowd.leave(2)

    asyncio.run(scene())


def test_bytes_are_paced_by_waiting() -> None:
    limiter = TransferLimiter(GatewayLimits(bytes_per_second=100))
    assert limiter.wait_s(200, 10.0) == pytest.approx(0.0)
    assert limiter.wait_s(100, 10.5) == pytest.approx(1.5)
    assert limiter.wait_s(100, 20.0) == pytest.approx(0.0)  # unused bytes are not saved up
    limiter.change(GatewayLimits(bytes_per_second=None))
    assert limiter.wait_s(10**9, 20.0) == pytest.approx(0.0)


def test_permits_of_two_limiters_are_both_released() -> None:
    async def scene() -> None:
        link, gateway = TransferLimiter(GatewayLimits(transfers=1)), TransferLimiter(GatewayLimits(transfers=1))
        for _ in range(2):
            async with AsyncExitStack() as places:
                await places.enter_async_context(link.permit())
                await places.enter_async_context(gateway.permit())

    asyncio.run(scene())
