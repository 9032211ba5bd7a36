# SPDX-License-Identifier: Apache-2.0
"""One visit to a device for the forest that it has grown: fetch it with its rows, grow it again, and keep it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.compiler.errors import BuildFailed
from reconciler.devices.conversation import Rejected
from reconciler.devices.errors import Malformed
from reconciler.devices.learned_fetch import LearnedFetch, LearnedParts
from reconciler.devices.link_session import LinkSession
from reconciler.devices.sample_range import NothingNew
from reconciler.engine.samples.starter_packs import Starter
from reconciler.engine.samples.visit import DeviceCollection, VisitPorts, VisitResult
from reconciler.knowledge.records import LearnedForest
from reconciler.model import SHORT_DIGEST_BYTES, DeviceId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LearnedPorts:
    """What these visits need besides the ports of all visits."""

    starter_of: Callable[[DeviceId], Starter | None]  # None: what it runs does not learn, or is unknown
    on_learned: Callable[[], None]


class LearnedVisit:
    """Visits one device. The forest comes whole: half of one is of no use, and its rows fit into a few ranges."""

    def __init__(self, ports: VisitPorts, learned: LearnedPorts, device: DeviceId) -> None:
        self._ports = ports
        self._learned = learned
        self._device = device

    async def run(self, session: LinkSession, wanted: DeviceCollection) -> VisitResult:
        """Fetch the forest, unless it is known."""
        # Imports numpy, as the builder does, which a gateway without learners never needs.
        from reconciler.compiler.forest.grown_pack import features_of_starter  # noqa: PLC0415

        starter = self._learned.starter_of(self._device)
        if starter is None:
            return VisitResult()
        known = await self._ports.in_thread(self._ports.knowledge.learned_forest, self._device)
        same = known is not None and known.digest == starter.digest
        fetch = LearnedFetch(session, self._device, features_of_starter(starter.pack))
        fetched = await fetch.run(known.sha256 if known is not None and same else None)
        used = fetch.used_bytes
        match fetched:
            case LearnedParts():
                kept = await self._ports.in_thread(self._keep, starter, wanted, fetched)
                if kept:
                    self._learned.on_learned()
                return VisitResult(failed=not kept, used_bytes=used)
            case NothingNew():
                return VisitResult(used_bytes=used)
            case Malformed() as malformed:
                log.warning("what the device has learned is malformed: %s", malformed)
                return VisitResult(failed=True, used_bytes=used)
            case Rejected(code=code):
                return VisitResult(failed=True, refused=code, used_bytes=used)
            case _:
                return VisitResult(failed=True, used_bytes=used)

    def _keep(self, starter: Starter, wanted: DeviceCollection, parts: LearnedParts) -> bool:
        """Grow the forest again, and keep what comes out if it is what the device has. In a thread."""
        from reconciler.compiler.forest.grown_pack import grown_pack  # noqa: PLC0415 - as above

        forest, rows = parts.forest, parts.rows
        if forest.lesson != rows.lesson or forest.lesson.digest16.hex() != starter.digest[: 2 * SHORT_DIGEST_BYTES]:
            return False  # another lesson began meanwhile
        try:
            pack = grown_pack(starter.pack, rows.rows, forest.section)
        except BuildFailed as refused:
            log.warning("the forest of the device is not taken: %s", refused)
            return False
        now = self._ports.clock.now()
        lesson = (starter.model, starter.digest, forest.lesson.generation)
        figures = (forest.sha256, forest.rows, forest.anomalous)
        self._ports.knowledge.save_learned(LearnedForest(self._device, wanted.contest, *lesson, *figures, pack, now))
        log.info("it has grown a forest from %d of its own rows, and so has this gateway", forest.rows)
        return True
