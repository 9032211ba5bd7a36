# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib

from reconciler.engine.tasks import cancel_and_wait


def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    async def stubborn(lives: int) -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lives -= 1
                if lives == 0:
                    raise

    async def scene() -> None:
        tasks = [asyncio.create_task(stubborn(lives)) for lives in (1, 2, 3)]
        await asyncio.sleep(0)
        await cancel_and_wait(tasks)
        assert all(task.cancelled() for task in tasks)

    asyncio.run(asyncio.wait_for(scene(), 30))


def test_what_is_over_already_is_left_alone() -> None:
    async def scene() -> None:
        done = asyncio.create_task(asyncio.sleep(0))
        await done
        await cancel_and_wait([done])
        with contextlib.suppress(asyncio.InvalidStateError):
            assert done.exception() is None

    asyncio.run(scene())
