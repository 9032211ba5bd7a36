# SPDX-License-Identifier: Apache-2.0
"""The existing artifacts, and the builds of those that the plan needs, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.state.writer import StateWriter
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import Action, Artifact, ArtifactKey, Desired, Install, Origin, ShortDigest, short_digest
from reconciler.model.snapshot_cache import SnapshotCache

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AvailableArtifacts:
    """The artifacts that are built from exactly what one commit describes."""

    by_key: Mapping[ArtifactKey, Artifact]
    by_short_digest: Mapping[ShortDigest, Artifact]
    defaults: PackDefaults

    @staticmethod
    def of(desired: Desired, by_key: Mapping[ArtifactKey, Artifact]) -> AvailableArtifacts:
        """Index artifacts."""
        by_short_digest = {short_digest(artifact.digest): artifact for artifact in by_key.values()}
        defaults = {
            digest: desired.models[each.model].parameters
            for digest, each in by_short_digest.items()
            if each.model in desired.models
        }
        return AvailableArtifacts(by_key, by_short_digest, PackDefaults(defaults))


class ArtifactCatalog:
    """What is built, what is being built, and what can't be. For the event loop's thread only."""

    def __init__(self, builder: Builder, state: StateWriter, on_change: Callable[[], None]) -> None:
        self._builder = builder
        self._state = state
        self._on_change = on_change
        self._known: dict[ArtifactKey, tuple[Artifact, str]] = {
            (artifact.model, artifact.type): (artifact, source) for artifact, source in state.artifacts()
        }
        self._building: dict[tuple[ArtifactKey, str], asyncio.Task[None]] = {}
        self._failed: dict[tuple[ArtifactKey, str], str] = {}
        self._available: SnapshotCache[AvailableArtifacts] = SnapshotCache()
        self._needed: SnapshotCache[frozenset[ArtifactKey]] = SnapshotCache()

    @property
    def failures(self) -> Mapping[ArtifactKey, str]:
        """Return what can't be built, and why."""
        return {pair: why for (pair, _), why in self._failed.items()}

    @property
    def building(self) -> tuple[ArtifactKey, ...]:
        """Return what is being built."""
        return tuple(pair for pair, _ in self._building)

    @property
    def model_names(self) -> Mapping[ShortDigest, str]:
        """Return the models of packs, by their short digests."""
        return {short_digest(artifact.digest): str(artifact.model) for artifact, _ in self._known.values()}

    def available(self, desired: Desired) -> AvailableArtifacts:
        """Return the artifacts built from what Git has now, as a snapshot (reconciler.model.snapshot_cache).

        Artifacts of models that Git no longer has are included: devices may still hold them, and roll back to them.
        """
        known = self._available.get(desired)
        if known is not None:
            return known
        by_key = {
            pair: artifact
            for pair, (artifact, source) in self._known.items()
            if pair[1] in desired.types
            and (pair[0] not in desired.models or source == self._builder.source(desired, pair))
        }
        return self._available.put(AvailableArtifacts.of(desired, by_key), desired)

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return an artifact's bytes. One that the store has lost is forgotten, so that it is built again."""
        try:
            return self._builder.pack(desired, artifact)
        except FleetError:
            self._known.pop((artifact.model, artifact.type), None)
            self._available.clear()
            raise

    def build_missing(self, desired: Desired, actions: tuple[Action, ...]) -> None:
        """Start to build what the plan waits for, and the pre-baked models that devices may run."""
        needed = self._needed.get(desired, actions)
        if needed is None:
            needed = self._needed.put(_needed(desired, actions), desired, actions)
        for pair in needed:
            key = (pair, self._builder.source(desired, pair))
            if pair not in self.available(desired).by_key and key not in self._building and key not in self._failed:
                self._building[key] = asyncio.create_task(self._build(desired, pair, key[1]), name=f"build {pair[0]}")

    async def stop(self) -> None:
        """Cancel all builds and wait for their end."""
        await cancel_and_wait(list(self._building.values()))

    async def _build(self, desired: Desired, pair: ArtifactKey, source: str) -> None:
        log.info("building %s for %s", *pair)
        try:
            artifact = await self._builder.build(desired, pair)
        except FleetError as failure:
            log.error("building %s for %s failed: %s", *pair, failure)  # noqa: TRY400 - expected: no traceback
            self._failed[pair, source] = str(failure)
        else:
            log.info("built %s for %s: %d bytes, %s", *pair, artifact.pack_bytes, artifact.digest[:12])
            self._state.save_artifact(artifact, source)
            self._known[pair] = (artifact, source)
            self._available.clear()
        finally:
            del self._building[pair, source]
        self._on_change()


def _needed(desired: Desired, actions: Iterable[Action]) -> frozenset[ArtifactKey]:
    kinds = {device.type for device in desired.devices.values()}
    needed = {(ref, kind) for kind in kinds for ref in desired.types[kind].prebaked}
    for action in actions:
        if isinstance(action, Install) and action.origin is Origin.BUILD:
            needed.add((action.model, desired.devices[action.device].type))
    return frozenset(needed)
