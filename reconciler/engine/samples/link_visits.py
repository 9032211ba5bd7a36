# SPDX-License-Identifier: Apache-2.0
"""When to visit which sample log over one link: at an interval, anomalies first, within the budget."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import SampleSpace
from reconciler.engine.samples.link_budget import LinkBudget, device_budget, line_budget
from reconciler.engine.samples.visit import DeviceCollection, VisitResult
from reconciler.model import DeviceId

CONCURRENT_ON_BROKER = 16  # visits at once; a serial line has one
RECHECK_S = 1.0  # how often a visit that has to wait for a delivery or the link looks again
CLOCK_STEP_S = 0.001  # shorter waits are skipped
WORTH_BYTES = 600  # of budget, without which no visit begins
FOREST_EVERY = 10  # times the interval: a device grows a forest once, as a rule
LOGS = (SampleSpace.ANOMALIES, SampleSpace.NORMALS)
MAX_BACKOFF = 16  # times the interval, for a device that does not answer or keeps no such log


@dataclass(slots=True)
class PlannedVisit:
    """One log of one device that is visited at intervals, or the forest that it has grown."""

    device: DeviceId
    space: SampleSpace
    failures: int = 0


Visit = Callable[[LinkSession, PlannedVisit, DeviceCollection, int], Awaitable[VisitResult]]


@dataclass(frozen=True, slots=True)
class LinkVisitPorts:
    """What the schedule of one link needs: how to carry out a visit, and whether one may begin now."""

    visit: Visit
    may_visit: Callable[[DeviceId, LinkSession], bool]


@dataclass(order=True, slots=True)
class _Queued:
    """An entry of a queue; the number keeps entries with the same key in their order."""

    key: tuple[float, float]
    number: int
    visit: PlannedVisit = field(compare=False)


class LinkVisits:
    """The visits over one link, in two queues: those of later by their time, and those that are due by their log."""

    def __init__(self, session: LinkSession, baud: int | None, ports: LinkVisitPorts) -> None:
        self.session = session
        self.waiting: set[DeviceId] = set()  # for the budget
        self._baud = baud  # None: a broker
        self._ports = ports
        self._members: Mapping[DeviceId, DeviceCollection] = {}
        self._planned: set[tuple[DeviceId, SampleSpace]] = set()
        self._budgets: dict[DeviceId | None, LinkBudget] = {}
        self._later: list[_Queued] = []
        self._due: list[_Queued] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        workers = CONCURRENT_ON_BROKER if baud is None else 1
        self.tasks = [asyncio.create_task(self._work(), name="samples") for _ in range(workers)]

    def watch(self, members: Mapping[DeviceId, DeviceCollection]) -> None:
        """Visit exactly these devices; new ones at once."""
        if members != self._members:
            self._budgets.clear()  # the share or the rate may have changed
        self._members = members
        for device, wanted in members.items():
            for space in (*LOGS, SampleSpace.FOREST) if wanted.forests else LOGS:
                if (device, space) not in self._planned:
                    self._planned.add((device, space))
                    self._plan(PlannedVisit(device, space), 0.0)

    def cancel(self) -> None:
        """Stop visiting. A visit in progress stores nothing more."""
        for task in self.tasks:
            task.cancel()

    # ------------------------------------------------------------ the queues

    def _plan(self, visit: PlannedVisit, after_s: float) -> None:
        due_s = asyncio.get_running_loop().time() + after_s
        heapq.heappush(self._later, _Queued((due_s, visit.space), next(self._numbers), visit))
        self._changed.set()

    def _collect_due(self, now_s: float) -> None:
        while self._later and self._later[0].key[0] <= now_s + CLOCK_STEP_S:
            queued = heapq.heappop(self._later)
            due_s, space = queued.key
            heapq.heappush(self._due, _Queued((space, due_s), queued.number, queued.visit))

    async def _next(self) -> tuple[PlannedVisit, DeviceCollection, int]:
        """Wait for a visit that is due and may begin; return it with its budget."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            self._collect_due(loop.time())
            if not self._due:
                await self._sleep(self._later[0].key[0] - loop.time() if self._later else None)
                continue
            visit = heapq.heappop(self._due).visit
            wanted = self._members.get(visit.device)
            if wanted is None or (visit.space is SampleSpace.FOREST and not wanted.forests):
                self._planned.discard((visit.device, visit.space))
            elif not self._ports.may_visit(visit.device, self.session):
                self._plan(visit, RECHECK_S)
            elif (wait_s := self._budget(visit.device, wanted).wait_s(WORTH_BYTES, loop.time())) > 0.0:
                self.waiting.add(visit.device)
                self._plan(visit, wait_s)
            else:
                return visit, wanted, self._budget(visit.device, wanted).left(loop.time())

    async def _sleep(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    def _budget(self, device: DeviceId, wanted: DeviceCollection) -> LinkBudget:
        """Return the budget of the line, or of the device behind a broker."""
        key = device if self._baud is None else None
        budget = self._budgets.get(key)
        if budget is None:
            now_s, collect = asyncio.get_running_loop().time(), wanted.collect
            made = device_budget(collect, now_s) if self._baud is None else line_budget(collect, self._baud, now_s)
            budget = self._budgets[key] = made
        return budget

    # ------------------------------------------------------------ visits

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            visit, wanted, budget_bytes = await self._next()
            self.waiting.discard(visit.device)
            result = await self._ports.visit(self.session, visit, wanted, budget_bytes)
            self._budget(visit.device, wanted).spend(result.used_bytes, loop.time())
            visit.failures = visit.failures + 1 if result.failed else 0
            backoff = min(2**visit.failures, MAX_BACKOFF) if result.refused is None else MAX_BACKOFF
            every_s = wanted.collect.every_s * (FOREST_EVERY if visit.space is SampleSpace.FOREST else 1)
            self._plan(visit, 0.0 if result.more else every_s * backoff)
