# SPDX-License-Identifier: Apache-2.0
"""Asking devices how they are: when they appear, when they have been silent for long, and what they can do."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from reconciler.devices.bodies import CapabilitiesBody, Report
from reconciler.devices.codec import What
from reconciler.devices.conversation import Answered
from reconciler.devices.fleet import Fleet
from reconciler.engine.clock import Clock
from reconciler.engine.fleetview import FleetView
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

AT_ONCE = 64  # inquiries under way; the rest wait their turn
SLOWER = 2.0  # each silence makes the next question come later, up to:
SLOWEST = 8.0  # times the interval


class Attention:
    """One timer per device; a report moves it on, a silence moves it further."""

    def __init__(
        self,
        view: FleetView,
        clock: Clock,
        fleet_of: Callable[[DeviceId], Fleet | None],
        on_news: Callable[[DeviceId], None],
        jitter: random.Random,
    ) -> None:
        self._view = view
        self._clock = clock
        self._fleet_of = fleet_of
        self._on_news = on_news
        self._jitter = jitter
        self._interval_s = 300.0
        self._timers: dict[DeviceId, asyncio.TimerHandle] = {}
        self._slowness: dict[DeviceId, float] = {}
        self._tasks: dict[DeviceId, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def watch(self, devices: Iterable[DeviceId], interval_s: float) -> None:
        """Look after just these devices, each at least once an interval."""
        self._interval_s = interval_s
        wanted = set(devices)
        for device in set(self._timers) - wanted:
            self._timers.pop(device).cancel()
            self._slowness.pop(device, None)
        for device in wanted - set(self._timers):
            self._in(device, 0.0)

    def heard_from(self, device: DeviceId) -> None:
        """Ask no sooner than an interval after this, unless its capabilities are not known yet."""
        if device not in self._timers:
            return
        self._slowness.pop(device, None)
        known = self._view.capabilities_of(device) is not None
        self._in(device, self._interval_s if known else 0.0)

    def soon(self, device: DeviceId) -> None:
        """Ask at once: it has appeared, or should have something to tell."""
        if device in self._timers:
            self._slowness.pop(device, None)
            self._in(device, 0.0)

    async def stop(self) -> None:
        """Ask nobody any more."""
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _in(self, device: DeviceId, after_s: float) -> None:
        if device in self._timers:
            self._timers[device].cancel()
        spread_s = after_s * self._jitter.uniform(0.0, 0.1)
        self._timers[device] = asyncio.get_running_loop().call_later(after_s + spread_s, self._begin, device)

    def _begin(self, device: DeviceId) -> None:
        if device not in self._tasks:
            self._tasks[device] = asyncio.create_task(self._inquire(device), name=f"ask {device}")

    async def _inquire(self, device: DeviceId) -> None:
        try:
            async with self._places:
                answered = await self._ask(device)
        finally:
            del self._tasks[device]
        slowness = 1.0 if answered else min(self._slowness.get(device, 0.5) * SLOWER, SLOWEST)
        self._slowness[device] = slowness
        if device in self._timers:
            self._in(device, self._interval_s * slowness)
        if answered:
            self._on_news(device)

    async def _ask(self, device: DeviceId) -> bool:
        fleet = self._fleet_of(device)
        if fleet is None:
            return False
        answer = await fleet.ask(device, What.REPORT)
        if not (isinstance(answer, Answered) and isinstance(answer.body, Report)):
            return False
        before = self._view.report_of(device)
        self._view.take_report(device, answer.body, self._clock.now(), asked=True)
        restarted = before is None or before.boots != answer.body.boots
        if restarted or self._view.capabilities_of(device) is None:
            told = await fleet.ask(device, What.CAPABILITIES)
            if isinstance(told, Answered) and isinstance(told.body, CapabilitiesBody):
                self._view.take_capabilities(device, told.body)
        return True
