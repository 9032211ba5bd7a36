# SPDX-License-Identifier: Apache-2.0
"""Limits the number of concurrent transfers and their bytes per second. Limits may change at any time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler.model import GatewayLimits


class TransferLimiter:
    """The limits of one link or of a whole gateway."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._busy_until_s = 0.0

    def change(self, limits: GatewayLimits) -> None:
        """Apply new limits; transfers in progress continue."""
        self._limits = limits
        self._admit()

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Wait for permission to run a transfer, first come first served, and release it at the end."""
        await self._acquire()
        try:
            yield
        finally:
            self._release()

    def wait_s(self, count: int, now_s: float) -> float:
        """Account for `count` bytes and return how long to wait before sending them."""
        rate = self._limits.bytes_per_second
        if rate is None:
            return 0.0
        start = max(now_s, self._busy_until_s)
        self._busy_until_s = start + count / rate
        return start - now_s

    async def _acquire(self) -> None:
        if self._running < self._limits.transfers:
            self._running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # admitted and cancelled at the same time
            raise

    def _release(self) -> None:
        self._running -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._running < self._limits.transfers:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)
