# SPDX-License-Identifier: Apache-2.0
"""Asking devices for reports: when they appear, at an interval, and for their capabilities and summaries."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

from reconciler.devices.conversation import Lost, SampleRange
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import SampleSpace
from reconciler.devices.reports import DeviceReport, SamplesAttestation
from reconciler.engine import log_context
from reconciler.engine.clock import Clock
from reconciler.engine.links import Links
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.learning_ledger import LearningLedger
from reconciler.engine.observed.summaries import Summaries
from reconciler.engine.root_rotations import RootRotations
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import DeviceId

log = logging.getLogger(__name__)

MAX_CONCURRENT = 64  # inquiries on one link; the rest wait for their turn, those of other links do not
MAX_STARTED = 1000  # inquiries on one link that have a task, which takes some KiB; the rest are names in a queue
BACKOFF = 2.0  # each silence delays the next inquiry by this factor, up to:
MAX_BACKOFF = 8.0  # times the interval
JITTER = 0.1  # of the interval: neighbours in time drift apart
SPREAD_FROM = 0.25  # devices that reported together, as an update ends, are asked over the rest of the interval
ANSWER_SHARE = 0.1  # of the time after which a device counts as silent: for its answer
BATCH_S = 2.0  # questions are asked together this often: one at a time wakes the threads for each
MIN_BATCHES = 10  # a shorter interval is not divided into batches
# Inquiries between two summaries: an hour with the usual interval. One is also due after each restart of the device,
# after each change of its pack, and with each inquiry while a gate or the soak time of a rollout waits for it.
SUMMARY_EVERY = 12


@dataclass(frozen=True, slots=True)
class PollerPorts:
    """Where questions go, and where answers are recorded."""

    inventory: Inventory
    summaries: Summaries
    learning: LearningLedger
    clock: Clock
    links: Links
    roots: RootRotations = field(default_factory=RootRotations)


@dataclass(slots=True)
class _LinkQueue:
    """The inquiries on one link."""

    started: int = 0
    waiting: deque[DeviceId] = field(default_factory=deque)


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
        self.soaking: Collection[DeviceId] = frozenset()  # devices that run a new pack and are not done with it
        self.learners: Collection[DeviceId] = frozenset()  # devices whose model learns
        self.all_at_once = False  # ask all new devices at once, also those that an earlier run knew
        self._interval_s = 300.0
        self._watched: Collection[DeviceId] = ()
        self._timers: dict[DeviceId, asyncio.TimerHandle] = {}
        self._backoff: dict[DeviceId, float] = {}
        self._tasks: dict[DeviceId, asyncio.Task[None]] = {}
        self._turns: WeakKeyDictionary[LinkSession, asyncio.Semaphore] = WeakKeyDictionary()
        self._queues: WeakKeyDictionary[LinkSession, _LinkQueue] = WeakKeyDictionary()
        self._without_link = _LinkQueue()
        self._waiting: set[DeviceId] = set()  # in any of the queues
        self._never_asked: set[DeviceId] = set()
        self._inquiries: dict[DeviceId, int] = {}
        self._summary_due: set[DeviceId] = set()
        self._reported: set[DeviceId] = set()  # the report that the next inquiry would ask for is here

    @property
    def pending(self) -> int:
        """Count the devices that were never asked yet or are being asked."""
        return len(self._never_asked | self._tasks.keys() | self._waiting)

    def watch(self, devices: Collection[DeviceId], interval_s: float) -> None:
        """Poll exactly these devices, each at least once an interval; a snapshot costs nothing while unchanged."""
        self._interval_s = interval_s
        if devices is self._watched:
            return
        self._watched = devices
        wanted = set(devices)
        for device in set(self._timers) - wanted:
            self._timers.pop(device).cancel()
            self._backoff.pop(device, None)
            self._never_asked.discard(device)
            self._inquiries.pop(device, None)
            self._summary_due.discard(device)
            self._reported.discard(device)
        for device in wanted - set(self._timers):
            within_s = 0.0 if self.all_at_once else self._known_for_s(device)
            if within_s > 0.0:
                self._inquiries[device] = self._jitter.randrange(1, SUMMARY_EVERY)  # an earlier run has its summary
            else:
                self._never_asked.add(device)
            self._poll_in(device, within_s, spread_from=0.0)

    def heard_from(self, device: DeviceId) -> None:
        """Ask no sooner than an interval after this report, unless the device's capabilities are unknown."""
        if device not in self._timers:
            return
        self._backoff.pop(device, None)
        known = self._ports.inventory.capabilities_of(device) is not None
        self._poll_in(device, self._interval_s if known else 0.0, spread_from=SPREAD_FROM)

    def has_confirmed(self, device: DeviceId) -> None:
        """Ask at once what a device counts: it has just confirmed a new pack, whose figures nobody has yet.

        Its report has just arrived, so only the summary is asked for.
        """
        self._summary_due.add(device)
        self._reported.add(device)
        self.poll_soon(device)

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

    def _known_for_s(self, device: DeviceId) -> float:
        """Return within which time to ask a device: soon enough that what an earlier run knew of it is still valid.

        A device that counts as silent is asked at once, because nothing is delivered to it.
        """
        record = self._ports.inventory.records.get(device)
        if record is None or record.capabilities is None:
            return 0.0
        heard_s = (self._ports.clock.now() - record.seen_at).total_seconds()
        left_s = self._ports.inventory.silent_after_s - heard_s
        return max(0.0, min(self._interval_s, left_s * (1.0 - ANSWER_SHARE)))

    async def stop(self) -> None:
        """Cancel all timers and inquiries."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()  # so that none of those that wait starts
        await cancel_and_wait(list(self._tasks.values()))

    def _poll_in(self, device: DeviceId, after_s: float, *, spread_from: float = 1.0 - JITTER) -> None:
        """Ask a device after at most `after_s`; `spread_from` is the earliest time, as a share of it."""
        if device in self._timers:
            self._timers[device].cancel()
        loop = asyncio.get_running_loop()
        due_s = loop.time() + after_s * self._jitter.uniform(spread_from, 1.0)
        if after_s >= MIN_BATCHES * BATCH_S:
            due_s -= due_s % BATCH_S
        self._timers[device] = loop.call_at(due_s, self._poll, device)

    def _poll(self, device: DeviceId) -> None:
        if self._is_busy(device):  # its delivery asks for a report
            self._never_asked.discard(device)
            self._reported.discard(device)
            self._poll_in(device, self._interval_s)
        elif device not in self._tasks and device not in self._waiting:
            queue = self._queue_of(device)
            if queue.started >= MAX_STARTED:
                queue.waiting.append(device)
                self._waiting.add(device)
                return
            queue.started += 1
            task = self._tasks[device] = asyncio.create_task(self._inquire(device), name=f"poll {device}")
            task.add_done_callback(lambda _: self._start_next(queue))

    def _queue_of(self, device: DeviceId) -> _LinkQueue:
        session = self._ports.links.session_of(device)
        return self._queues.setdefault(session, _LinkQueue()) if session is not None else self._without_link

    def _start_next(self, queue: _LinkQueue) -> None:
        queue.started -= 1
        while queue.waiting and queue.started < MAX_STARTED:
            device = queue.waiting.popleft()
            self._waiting.discard(device)
            if device in self._timers:
                self._poll(device)

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
            spread_from = SPREAD_FROM if before is None else 1.0 - JITTER  # new devices were all asked together
            self._poll_in(device, self._interval_s * backoff, spread_from=spread_from)
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
        """Ask for a report, and for capabilities and a summary where due; return whether the device answered."""
        inventory = self._ports.inventory
        if device in self._reported:
            self._reported.discard(device)
            return await self._ask_summary(device, session)
        report = await session.report(device)
        if not isinstance(report, Lost):
            report = await self._ports.roots.follow(session, device, report)
        if isinstance(report, Lost):
            return False
        before = inventory.report_of(device)
        inventory.record_report(device, report, self._ports.clock.now(), asked=True)
        restarted = before is None or before.boots != report.boots
        if restarted or inventory.capabilities_of(device) is None:
            capabilities = await session.capabilities(device)
            if not isinstance(capabilities, Lost):
                inventory.record_capabilities(device, capabilities)
        if before is not None and before.running != report.running:
            self._summary_due.add(device)
        awaited = device in inventory.evidence.awaited or device in self.soaking or device in self._summary_due
        if restarted or awaited or self._inquiries.get(device, 0) % SUMMARY_EVERY == 0:
            await self._ask_summary(device, session)
        if device in self.learners and self._ports.learning.is_due(device, report):
            await self._ask_learning(device, session, report)
        self._inquiries[device] = self._inquiries.get(device, 0) + 1
        return True

    async def _ask_learning(self, device: DeviceId, session: LinkSession, report: DeviceReport) -> None:
        """Have a device sign how far it is with a forest of its own. The empty range costs no piece of its rows."""
        answer = await session.attest(device, SampleRange(SampleSpace.ROWS, 0, 0))
        if isinstance(answer, SamplesAttestation) and self._ports.learning.record(device, report, answer):
            self._on_change(device)

    async def _ask_summary(self, device: DeviceId, session: LinkSession) -> bool:
        summary = await session.summary(device)
        if isinstance(summary, Lost):
            return False
        self._summary_due.discard(device)
        self._ports.summaries.record(device, summary, self._ports.clock.now())
        if self._ports.inventory.record_summary(device, summary):
            self._on_change(device)
        return True


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
