# SPDX-License-Identifier: Apache-2.0
"""The ways to the gateways that this one asks: connections to their brokers, or the broker that both share.

Which gateways are asked follows Git, and where their brokers are follows the configuration. For the event loop's thread
only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.bus.uplink import OnAnswer, Uplink, UplinkSettings


@dataclass(frozen=True, slots=True)
class _Open:
    """A connection, and the task that keeps it."""

    fleet: str
    uplink: Uplink
    task: asyncio.Task[None]


class Uplinks:
    """Keeps a connection to each gateway that is asked and has an address."""

    def __init__(
        self,
        own: str,
        settings: Mapping[str, UplinkSettings],
        *,
        shared: Callable[[str, bytes], None],
        on_change: Callable[[], None],
    ) -> None:
        """`shared` sends to a gateway without an address, which is behind the broker of this one."""
        self._own, self._settings = own, settings
        self._shared, self._on_change = shared, on_change
        self._wanted: tuple[str, frozenset[str]] = ("", frozenset())  # the fleet, and the gateways
        self._on_answer: OnAnswer = lambda *_: None
        self._changed = asyncio.Event()
        self._open: dict[str, _Open] = {}

    def follow(self, fleet: str, gateways: Iterable[str], on_answer: OnAnswer) -> None:
        """Have connections to exactly these gateways from now on."""
        wanted = fleet, frozenset(gateways) & self._settings.keys()
        self._on_answer = on_answer
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def ask(self, gateway: str, payload: bytes) -> None:
        """Send a message to a gateway; it may be lost."""
        if gateway not in self._settings:
            self._shared(gateway, payload)
        elif gateway in self._open:
            self._open[gateway].uplink.ask(payload)

    def trouble(self, gateway: str) -> str | None:
        """Return why nothing reaches a gateway; None: something does, or it shares the broker of this gateway."""
        found = self._open.get(gateway)
        return found.uplink.trouble if found is not None else None

    async def run(self) -> None:
        """Open and close connections until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                fleet, gateways = self._wanted
                for gateway, opened in list(self._open.items()):
                    if gateway not in gateways or opened.fleet != fleet:
                        self._open.pop(gateway).task.cancel()
                for gateway in gateways - self._open.keys():
                    uplink = Uplink(fleet, self._own, self._settings[gateway], self._answered, self._on_change)
                    self._open[gateway] = _Open(
                        fleet, uplink, group.create_task(uplink.run(), name=f"uplink {gateway}")
                    )
                await self._changed.wait()
                self._changed.clear()

    def _answered(self, gateway: str, payload: bytes) -> None:
        self._on_answer(gateway, payload)
