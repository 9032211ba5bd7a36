# SPDX-License-Identifier: Apache-2.0
"""Asks devices for samples at an interval, within the budget of their link: anomalies first, deliveries before all.

For the event loop's thread only. A visit that a kill or a loss ends is repeated: the cursor is in the knowledge base.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.devices.error_codes import DeviceErrorCode
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import SampleSpace
from reconciler.engine import log_context
from reconciler.engine.links import Links
from reconciler.engine.samples.learned_visit import LearnedPorts, LearnedVisit
from reconciler.engine.samples.link_visits import LinkVisitPorts, LinkVisits, PlannedVisit
from reconciler.engine.samples.visit import DeviceCollection, SampleVisit, VisitPorts, VisitResult
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import ContestId, Device, DeviceId, SerialAddress
from reconciler.model.samples import SampleLog

log = logging.getLogger(__name__)


@dataclass(slots=True)
class CollectionTally:
    """What is wrong with collecting for one contest: shown, and never the base of a decision."""

    lacking: set[DeviceId] = field(default_factory=set)  # devices that keep no samples
    silent: set[DeviceId] = field(default_factory=set)  # devices whose last visit failed
    lost_bytes: Counter[DeviceId] = field(default_factory=Counter)  # overwritten before they were fetched


class SampleCollector:
    """Visits the sample logs of all devices that have a contest."""

    def __init__(
        self,
        ports: VisitPorts,
        links: Links,
        may_visit: Callable[[DeviceId, LinkSession], bool],
        on_new: Callable[[ContestId, int], None],
        learned: LearnedPorts | None = None,
    ) -> None:
        self.tallies: dict[ContestId, CollectionTally] = {}
        self._ports = ports
        self._links = links
        self._visits = LinkVisitPorts(self._visit, may_visit)
        self._on_new = on_new
        self._learned = learned  # None: no forests are fetched
        self._wanted: Mapping[DeviceId, DeviceCollection] = {}
        self._devices: Mapping[DeviceId, Device] = {}
        self._lines: dict[LinkSession, LinkVisits] = {}
        self._members: dict[LinkSession, DeviceId] = {}  # one device of each link, to notice that it was opened again

    def watch(self, wanted: Mapping[DeviceId, DeviceCollection], devices: Mapping[DeviceId, Device]) -> None:
        """Collect from exactly these devices; a snapshot costs nothing while unchanged."""
        if wanted is self._wanted and all(self._links.session_of(one) is link for link, one in self._members.items()):
            return
        self._wanted, self._devices = wanted, devices
        self.tallies = {each.contest: self.tallies.get(each.contest, CollectionTally()) for each in wanted.values()}
        by_session: dict[LinkSession, dict[DeviceId, DeviceCollection]] = {}
        for device, collection in wanted.items():
            session = self._links.session_of(device)
            if session is not None:
                by_session.setdefault(session, {})[device] = collection
        for session in self._lines.keys() - by_session.keys():
            self._lines.pop(session).cancel()
        for session, members in by_session.items():
            line = self._lines.get(session)
            if line is None:
                line = self._lines[session] = LinkVisits(session, _baud(devices, members), self._visits)
            line.watch(members)
        self._members = {session: next(iter(members)) for session, members in by_session.items()}

    async def stop(self) -> None:
        """Cancel all visits."""
        await cancel_and_wait([task for line in self._lines.values() for task in line.tasks])

    def busy_lines(self, contest: ContestId) -> tuple[str, ...]:
        """Return the serial lines on which samples of a contest wait, because the line's share is spent."""
        waiting = frozenset[DeviceId]().union(*(line.waiting for line in self._lines.values()))
        links = [self._devices[each].link for each in waiting if self._is_of(each, contest)]
        return tuple(sorted({link.port for link in links if isinstance(link, SerialAddress)}))

    def _is_of(self, device: DeviceId, contest: ContestId) -> bool:
        return device in self._wanted and self._wanted[device].contest == contest

    async def _visit(
        self, session: LinkSession, visit: PlannedVisit, wanted: DeviceCollection, budget_bytes: int
    ) -> VisitResult:
        with log_context.about(visit.device):
            try:
                result = await self._visited(session, visit, wanted, budget_bytes)
            except FleetError as failure:  # a full disk: nothing was stored, so it is fetched again
                log.error("storing samples failed: %s: %s", failure.reason, failure)  # noqa: TRY400 - expected
                result = VisitResult(failed=True)
            except Exception:
                log.exception("fetching samples: a bug; the device is left alone for now")
                result = VisitResult(failed=True)
        self._note(visit, wanted.contest, result)
        if result.new:
            self._on_new(wanted.contest, result.new)
        return result

    async def _visited(
        self, session: LinkSession, visit: PlannedVisit, wanted: DeviceCollection, budget_bytes: int
    ) -> VisitResult:
        if visit.space is not SampleSpace.FOREST:
            log_visit = SampleVisit(self._ports, visit.device, SampleLog(visit.space))
            return await log_visit.run(session, wanted, budget_bytes)
        if self._learned is None:
            return VisitResult()
        return await LearnedVisit(self._ports, self._learned, visit.device).run(session, wanted)

    def _note(self, visit: PlannedVisit, contest: ContestId, result: VisitResult) -> None:
        tally = self.tallies.get(contest)
        if tally is None:
            return
        lacking = result.refused == DeviceErrorCode.SPACE
        for devices, member in ((tally.silent, result.failed and not lacking), (tally.lacking, lacking)):
            if visit.space is SampleSpace.ANOMALIES:
                (devices.add if member else devices.discard)(visit.device)
        if result.lost_bytes:
            tally.lost_bytes[visit.device] += result.lost_bytes


def _baud(devices: Mapping[DeviceId, Device], members: Mapping[DeviceId, DeviceCollection]) -> int | None:
    """Return the speed of the line that these devices share; None: a broker."""
    links = (devices[device].link for device in members)
    return next((link.baud for link in links if isinstance(link, SerialAddress)), None)
