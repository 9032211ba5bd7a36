# SPDX-License-Identifier: Apache-2.0
"""Cancelling tasks so that they really end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_S = 0.5


async def cancel_and_wait(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all of them have ended.

    Cancelling once is not enough. `asyncio.wait_for` of Python 3.11 may swallow a cancellation that comes just when
    what it waits for is done, and a loop around it then continues as if nothing had happened.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
