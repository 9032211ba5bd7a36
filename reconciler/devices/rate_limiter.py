# SPDX-License-Identifier: Apache-2.0
"""How much may go on at once: places for transfers, and bytes a second. Limits may change while it does."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler.model import GatewayLimits


class Limiter:
    """How many transfers at once and how many bytes a second, for a link or for a whole gateway."""

    def __init__(self, limits: GatewayLimits) -> None:
        self._limits = limits
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paid_until_s = 0.0

    def change(self, limits: GatewayLimits) -> None:
        """Heed other limits from now on; what is under way goes on."""
        self._limits = limits
        self._admit()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, first come first served, and give it back in the end."""
        await self._take()
        try:
            yield
        finally:
            self._give_back()

    def wait_s(self, count: int, now_s: float) -> float:
        """Take `count` bytes and return how long they must wait: bytes are lent, and paid back by waiting."""
        rate = self._limits.bytes_per_second
        if rate is None:
            return 0.0
        start = max(now_s, self._paid_until_s)
        self._paid_until_s = start + count / rate
        return start - now_s

    async def _take(self) -> None:
        if self._taken < self._limits.transfers:
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()  # it was our turn in the very moment in which we were called off
            raise

    def _give_back(self) -> None:
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._limits.transfers:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
