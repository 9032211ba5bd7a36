# SPDX-License-Identifier: Apache-2.0
"""Asking devices for reports: when they appear, at an interval, and for their capabilities and summaries."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from reconciler.devices.conversation import Lost
from reconciler.devices.link_session import LinkSession
from reconciler.devices.reports import DeviceReport
from reconciler.engine import log_context
from reconciler.engine.clock import Clock
from reconciler.engine.links import Links
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

MAX_CONCURRENT = 64  # inquiries on one link; the rest wait for their turn, those of other links do not
BACKOFF = 2.0  # each silence delays the next inquiry by this factor, up to:
MAX_BACKOFF = 8.0  # times the interval
SUMMARY_EVERY = 12  # inquiries, and after each restart of the device: an hour with the usual interval


@dataclass(frozen=True, slots=True)
class PollerPorts:
    """Where questions go, and where answers are recorded."""

    inventory: Inventory
    summaries: Summaries
    clock: Clock
    links: Links


class Poller:
    """One timer for each device: a report resets it, a silence delays it further. For the event loop's thread only."""

    def __init__(
        self,
        ports: PollerPorts,
        is_busy: Callable[[DeviceId], bool],
        on_change: Callable[[DeviceId], None],
        jitter: random.Random,
    ) -> None:
        self._ports = ports
        self._is_busy = is_busy
        self._on_change = on_change
        self._jitter = jitter
        self._interval_s = 300.0
        self._timers: dict[DeviceId, asyncio.TimerHandle] = {}
        self._backoff: dict[DeviceId, float] = {}
        self._tasks: dict[DeviceId, asyncio.Task[None]] = {}
        self._turns: WeakKeyDictionary[LinkSession, asyncio.Semaphore] = WeakKeyDictionary()
        self._never_asked: set[DeviceId] = set()
        self._inquiries: dict[DeviceId, int] = {}

    @property
    def pending(self) -> int:
        """Count the devices that were never asked yet or are being asked."""
        return len(self._never_asked | self._tasks.keys())

    def watch(self, devices: Iterable[DeviceId], interval_s: float) -> None:
        """Poll exactly these devices, each at least once an interval."""
        self._interval_s = interval_s
        wanted = set(devices)
        for device in set(self._timers) - wanted:
            self._timers.pop(device).cancel()
            self._backoff.pop(device, None)
            self._never_asked.discard(device)
            self._inquiries.pop(device, None)
        for device in wanted - set(self._timers):
            self._never_asked.add(device)
            self._poll_in(device, 0.0)

    def heard_from(self, device: DeviceId) -> None:
        """Ask no sooner than an interval after this report, unless the device's capabilities are unknown."""
        if device not in self._timers:
            return
        self._backoff.pop(device, None)
        known = self._ports.inventory.capabilities_of(device) is not None
        self._poll_in(device, self._interval_s if known else 0.0)

    def poll_soon(self, device: DeviceId) -> None:
        """Ask a device at once: it has appeared, or should have something to report."""
        if device in self._timers:
            self._backoff.pop(device, None)
            self._poll_in(device, 0.0)

    def link_is_up(self) -> None:
        """Ask the silent devices at once: the link may have been the reason for their silence."""
        for device, backoff in list(self._backoff.items()):
            if backoff > 1.0:
                self.poll_soon(device)

    async def stop(self) -> None:
        """Cancel all timers and inquiries."""
        for timer in self._timers.values():
            timer.cancel()
        await cancel_and_wait(list(self._tasks.values()))

    def _poll_in(self, device: DeviceId, after_s: float) -> None:
        if device in self._timers:
            self._timers[device].cancel()
        spread_s = after_s * self._jitter.uniform(0.0, 0.1)
        self._timers[device] = asyncio.get_running_loop().call_later(after_s + spread_s, self._poll, device)

    def _poll(self, device: DeviceId) -> None:
        if self._is_busy(device):  # its delivery asks for a report
            self._never_asked.discard(device)
            self._poll_in(device, self._interval_s)
        elif device not in self._tasks:
            self._tasks[device] = asyncio.create_task(self._inquire(device), name=f"poll {device}")

    async def _inquire(self, device: DeviceId) -> None:
        inventory = self._ports.inventory
        unknown = inventory.capabilities_of(device) is None
        was_silent = unknown or self._backoff.get(device, BACKOFF) > 1.0  # or was never asked
        before = inventory.report_of(device)
        try:
            with log_context.about(device):
                answered = await self._ask_in_turn(device)
        except FleetError as failure:  # the answer could not be kept: ask again later
            log.error("polling %s failed: %s: %s", device, failure.reason, failure)  # noqa: TRY400 - expected
            answered = False
        finally:
            del self._tasks[device]
            self._never_asked.discard(device)
        backoff = 1.0 if answered else min(self._backoff.get(device, 1.0) * BACKOFF, MAX_BACKOFF)
        self._backoff[device] = backoff
        if device in self._timers:
            self._poll_in(device, self._interval_s * backoff)
        # A report with nothing new changes no plan. The planner itself says when a device counts as silent.
        if answered and (was_silent or _differs(before, inventory.report_of(device))):
            self._on_change(device)

    async def _ask_in_turn(self, device: DeviceId) -> bool:
        session = await self._ports.links.ready(device)
        if session is None:
            return False
        async with self._turns.setdefault(session, asyncio.Semaphore(MAX_CONCURRENT)):
            return await self._ask(device, session)

    async def _ask(self, device: DeviceId, session: LinkSession) -> bool:
        """Ask for a report, and for capabilities and a summary where they are due; return whether a report came."""
        inventory = self._ports.inventory
        report = await session.report(device)
        if isinstance(report, Lost):
            return False
        before = inventory.report_of(device)
        inventory.record_report(device, report, self._ports.clock.now(), asked=True)
        restarted = before is None or before.boots != report.boots
        if restarted or inventory.capabilities_of(device) is None:
            capabilities = await session.capabilities(device)
            if not isinstance(capabilities, Lost):
                inventory.record_capabilities(device, capabilities)
        awaited = device in inventory.evidence.awaited
        if restarted or awaited or self._inquiries.get(device, 0) % SUMMARY_EVERY == 0:
            await self._ask_summary(device, session)
        self._inquiries[device] = self._inquiries.get(device, 0) + 1
        return True

    async def _ask_summary(self, device: DeviceId, session: LinkSession) -> None:
        summary = await session.summary(device)
        if isinstance(summary, Lost):
            return
        self._ports.summaries.record(device, summary)
        if self._ports.inventory.record_summary(device, summary):
            self._on_change(device)


def _differs(before: DeviceReport | None, after: DeviceReport | None) -> bool:
    """Return whether reports differ in more than their counters."""
    if before is None or after is None:
        return True
    return after != replace(
        before,
        counter=after.counter,
        inferences=after.inferences,
        anomalies=after.anomalies,
        faults=after.faults,
    )
