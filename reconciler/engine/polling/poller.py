# SPDX-License-Identifier: Apache-2.0
"""Asking devices how they are: when they appear, when they have been silent for long, and what they can do."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from reconciler.devices.conversation import Answered
from reconciler.devices.messages import ReportKind
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Summary
from reconciler.devices.session import LinkSession
from reconciler.engine import trace
from reconciler.engine.clock import Clock
from reconciler.engine.links import Links
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.tasks import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

AT_ONCE = 64  # inquiries under way on one link; the rest wait their turn, those of other links do not
SLOWER = 2.0  # each silence makes the next question come later, up to:
SLOWEST = 8.0  # times the interval
SUMMARY_EVERY = 12  # inquiries, and after each restart of the device: an hour, with the usual interval


@dataclass(frozen=True, slots=True)
class Observer:
    """Who takes in what devices answer."""

    view: Inventory
    summaries: Summaries
    clock: Clock


class Poller:
    """One timer per device; a report moves it on, a silence moves it further."""

    def __init__(
        self,
        ears: Observer,
        links: Links,
        is_busy: Callable[[DeviceId], bool],
        on_news: Callable[[DeviceId], None],
        jitter: random.Random,
    ) -> None:
        self._ears = ears
        self._links = links
        self._is_busy = is_busy
        self._on_news = on_news
        self._jitter = jitter
        self._interval_s = 300.0
        self._timers: dict[DeviceId, asyncio.TimerHandle] = {}
        self._slowness: dict[DeviceId, float] = {}
        self._tasks: dict[DeviceId, asyncio.Task[None]] = {}
        self._places: WeakKeyDictionary[LinkSession, asyncio.Semaphore] = WeakKeyDictionary()
        self._never_asked: set[DeviceId] = set()
        self._inquiries: dict[DeviceId, int] = {}

    @property
    def pending(self) -> int:
        """Count the devices of which something is still to be learned: never asked yet, or being asked."""
        return len(self._never_asked | self._tasks.keys())

    def watch(self, devices: Iterable[DeviceId], interval_s: float) -> None:
        """Look after just these devices, each at least once an interval."""
        self._interval_s = interval_s
        wanted = set(devices)
        for device in set(self._timers) - wanted:
            self._timers.pop(device).cancel()
            self._slowness.pop(device, None)
            self._never_asked.discard(device)
            self._inquiries.pop(device, None)
        for device in wanted - set(self._timers):
            self._never_asked.add(device)
            self._in(device, 0.0)

    def heard_from(self, device: DeviceId) -> None:
        """Ask no sooner than an interval after this, unless its capabilities are not known yet."""
        if device not in self._timers:
            return
        self._slowness.pop(device, None)
        known = self._ears.view.capabilities_of(device) is not None
        self._in(device, self._interval_s if known else 0.0)

    def soon(self, device: DeviceId) -> None:
        """Ask at once: it has appeared, or should have something to tell."""
        if device in self._timers:
            self._slowness.pop(device, None)
            self._in(device, 0.0)

    def link_is_up(self) -> None:
        """Ask those at once that did not answer: it may have been the link."""
        for device, slowness in list(self._slowness.items()):
            if slowness > 1.0:
                self.soon(device)

    async def stop(self) -> None:
        """Ask nobody any more."""
        for timer in self._timers.values():
            timer.cancel()
        await cancel_and_wait(list(self._tasks.values()))

    def _in(self, device: DeviceId, after_s: float) -> None:
        if device in self._timers:
            self._timers[device].cancel()
        spread_s = after_s * self._jitter.uniform(0.0, 0.1)
        self._timers[device] = asyncio.get_running_loop().call_later(after_s + spread_s, self._begin, device)

    def _begin(self, device: DeviceId) -> None:
        if self._is_busy(device):  # its delivery asks it
            self._never_asked.discard(device)
            self._in(device, self._interval_s)
        elif device not in self._tasks:
            self._tasks[device] = asyncio.create_task(self._inquire(device), name=f"ask {device}")

    async def _inquire(self, device: DeviceId) -> None:
        unknown = self._ears.view.capabilities_of(device) is None
        was_silent = unknown or self._slowness.get(device, SLOWER) > 1.0  # or was never asked
        before = self._ears.view.report_of(device)
        try:
            with trace.about(device):
                answered = await self._inquire_in_turn(device)
        except FleetError as failure:  # what it said could not be kept: ask again later
            log.error("asking %s failed: %s: %s", device, failure.reason, failure)  # noqa: TRY400 - expected
            answered = False
        finally:
            del self._tasks[device]
            self._never_asked.discard(device)
        slowness = 1.0 if answered else min(self._slowness.get(device, 1.0) * SLOWER, SLOWEST)
        self._slowness[device] = slowness
        if device in self._timers:
            self._in(device, self._interval_s * slowness)
        # A device that says the same as ever changes no plan; when it counts as silent is worked out anew then.
        if answered and (was_silent or _says_something_new(before, self._ears.view.report_of(device))):
            self._on_news(device)

    async def _inquire_in_turn(self, device: DeviceId) -> bool:
        fleet = await self._links.ready(device)
        if fleet is None:
            return False
        async with self._places.setdefault(fleet, asyncio.Semaphore(AT_ONCE)):
            return await self._ask(device, fleet)

    async def _ask(self, device: DeviceId, fleet: LinkSession) -> bool:
        answer = await fleet.ask(device, ReportKind.REPORT)
        if not (isinstance(answer, Answered) and isinstance(answer.body, DeviceReport)):
            return False
        ears = self._ears
        before = ears.view.report_of(device)
        ears.view.take_report(device, answer.body, ears.clock.now(), asked=True)
        restarted = before is None or before.boots != answer.body.boots
        if restarted or ears.view.capabilities_of(device) is None:
            await self._ask_capabilities(device, fleet)
        awaited = device in ears.view.evidence.wanted
        if restarted or awaited or self._inquiries.get(device, 0) % SUMMARY_EVERY == 0:
            await self._ask_summary(device, fleet)
        self._inquiries[device] = self._inquiries.get(device, 0) + 1
        return True

    async def _ask_capabilities(self, device: DeviceId, fleet: LinkSession) -> None:
        told = await fleet.ask(device, ReportKind.CAPABILITIES)
        if isinstance(told, Answered) and isinstance(told.body, CapabilitiesBody):
            self._ears.view.take_capabilities(device, told.body)

    async def _ask_summary(self, device: DeviceId, fleet: LinkSession) -> None:
        told = await fleet.ask(device, ReportKind.SUMMARY)
        if isinstance(told, Answered) and isinstance(told.body, Summary):
            self._ears.summaries.take(device, told.body)
            if self._ears.view.take_summary(device, told.body):
                self._on_news(device)


def _says_something_new(before: DeviceReport | None, after: DeviceReport | None) -> bool:
    """Tell whether reports differ in more than counters."""
    if before is None or after is None:
        return True
    return after != replace(
        before,
        counter=after.counter,
        inferences=after.inferences,
        anomalies=after.anomalies,
        faults=after.faults,
    )
