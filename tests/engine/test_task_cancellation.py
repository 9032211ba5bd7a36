# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib

from reconciler.engine.task_cancellation import cancel_and_wait


def test_a_task_that_swallows_a_cancellation_ends_all_the_same() -> None:
    async def stubborn(cancellations: int) -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancellations -= 1
                if cancellations == 0:
                    raise

    async def run() -> None:
        tasks = [asyncio.create_task(stubborn(cancellations)) for cancellations in (1, 2, 3)]
        await asyncio.sleep(0)
        await cancel_and_wait(tasks)
        assert all(task.cancelled() for task in tasks)

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_task_that_has_ended_is_left_alone() -> None:
    async def run() -> None:
        done = asyncio.create_task(asyncio.sleep(0))
        await done
        await cancel_and_wait([done])
        with contextlib.suppress(asyncio.InvalidStateError):
            assert done.exception() is None

    asyncio.run(run())
