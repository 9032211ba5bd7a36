# SPDX-License-Identifier: Apache-2.0
"""One visit to one sample log of a device: fetch a range, verify it, store it, and say when to come again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar

from reconciler.devices.conversation import Lost, Rejected
from reconciler.devices.error_codes import DeviceErrorCode
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import ATTESTED_BYTES_MAX, SampleSpace
from reconciler.devices.sample_range import AttestedRange, FetchedRange, NotAttested, NothingNew, RangeFetch
from reconciler.devices.sample_records import ParsedSamples, SampleOrigin, parse_samples
from reconciler.engine.clock import Clock
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.knowledge.records import LogPosition, SampleBatch
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import ContestId, DeviceId, SampleCollection
from reconciler.model.samples import SampleLog

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class DeviceCollection:
    """For which contest a device is asked for samples, and how."""

    contest: ContestId
    collect: SampleCollection
    forests: bool = False  # its own forest, too


@dataclass(frozen=True, slots=True)
class VisitResult:
    """What a visit brought. `failed` means that the next one should wait longer."""

    new: int = 0
    more: bool = False  # the log has more than was fetched
    failed: bool = False
    refused: int | None = None  # the error code of the device
    lost_bytes: int = 0  # overwritten since the visit before
    used_bytes: int = 0  # of the link


class InThread(Protocol):
    """Runs a function that waits for a disk on another thread, as `asyncio.to_thread` does."""

    def __call__(
        self, function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Coroutine[Any, Any, Result]:
        """Return what the function returns."""


@dataclass(frozen=True, slots=True)
class VisitPorts:
    """What visits work with."""

    knowledge: KnowledgeWriter
    contexts: SampleContexts
    clock: Clock
    in_thread: InThread = asyncio.to_thread


class SampleVisit:
    """Visits one log of one device."""

    def __init__(self, ports: VisitPorts, device: DeviceId, space: SampleLog) -> None:
        self._ports = ports
        self._device = device
        self._log = space

    async def run(self, session: LinkSession, wanted: DeviceCollection, budget_bytes: int) -> VisitResult:
        """Fetch up to the budget, and store what is attested."""
        before = await self._ports.in_thread(self._ports.knowledge.position, self._device, self._log)
        fetch = RangeFetch(session, self._device, SampleSpace(self._log))
        fetched = await fetch.run(before.offset, max(1, min(budget_bytes, ATTESTED_BYTES_MAX)))
        result = await self._taken_in(wanted, before, fetched)
        return replace(result, used_bytes=fetch.used_bytes)

    async def _taken_in(self, wanted: DeviceCollection, before: LogPosition, fetched: FetchedRange) -> VisitResult:
        match fetched:
            case NothingNew():
                return VisitResult()
            case AttestedRange():
                batch = self._batch(wanted, before, fetched, self._ports.clock.now())
                new = await self._ports.in_thread(self._ports.knowledge.ingest, batch)
                lost = batch.position.lost_bytes - before.lost_bytes
                return VisitResult(new, more=batch.position.offset < fetched.held.end, lost_bytes=lost)
            case NotAttested():
                log.warning("the samples differ from what the device signed: they are fetched again")
                return VisitResult(failed=True)
            case Rejected(code=DeviceErrorCode.RANGE):  # overwritten between the pieces and the signature
                return VisitResult(more=True)
            case Rejected(code=code):
                return VisitResult(failed=True, refused=code)
            case Lost():
                return VisitResult(failed=True)

    def _batch(
        self, wanted: DeviceCollection, before: LogPosition, fetched: AttestedRange, now: datetime
    ) -> SampleBatch:
        parsed = parse_samples(self._origin(fetched, now), fetched.start, fetched.data)
        samples = parsed.samples
        if not wanted.collect.windows:
            samples = tuple(replace(sample, window=None, element_type=0) for sample in samples)
        position = _position_after(before, fetched, parsed)
        return SampleBatch(wanted.contest, self._device, self._log, before.offset, position, samples)

    def _origin(self, fetched: AttestedRange, now: datetime) -> SampleOrigin:
        def weight_of(context: bytes) -> int:
            known = self._ports.contexts.sample_every(context)
            return known or fetched.attestation.sample_every

        return SampleOrigin(self._device, self._log, weight_of, now)


def _position_after(before: LogPosition, fetched: AttestedRange, parsed: ParsedSamples) -> LogPosition:
    """Return the cursor after a range. What a device overwrote before its first visit was never ours to lose."""
    if fetched.start < before.offset:  # the log was erased, and begins again
        return replace(before, offset=fetched.held.first)
    lost = fetched.start - before.offset if before.offset else 0
    return LogPosition(parsed.end, before.lost_bytes + lost, before.unreadable_bytes + parsed.skipped_bytes)
