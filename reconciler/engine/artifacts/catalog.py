# SPDX-License-Identifier: Apache-2.0
"""The artifacts that there are, and those that the plan needs and that are built, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.engine.artifacts.builder import Builder, Pair
from reconciler.engine.observed.interpret import DIGEST16_HEX, PackDefaults
from reconciler.engine.state.writer import StateWriter
from reconciler.engine.tasks import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import Action, Artifact, Desired, Install, Origin

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AvailableArtifacts:
    """The artifacts that are built from exactly what one commit describes."""

    by_pair: Mapping[Pair, Artifact]
    by_digest16: Mapping[str, Artifact]
    defaults: PackDefaults

    @staticmethod
    def of(desired: Desired, by_pair: Mapping[Pair, Artifact]) -> AvailableArtifacts:
        """Index artifacts."""
        by_digest16 = {artifact.digest[:DIGEST16_HEX]: artifact for artifact in by_pair.values()}
        defaults = {
            digest16: desired.models[each.model].parameters
            for digest16, each in by_digest16.items()
            if each.model in desired.models
        }
        return AvailableArtifacts(by_pair, by_digest16, PackDefaults(defaults))


class ArtifactCatalog:
    """What is built, what is being built, and what can't be. For the event loop's thread only."""

    def __init__(self, builder: Builder, state: StateWriter, on_change: Callable[[], None]) -> None:
        self._builder = builder
        self._state = state
        self._on_change = on_change
        self._known: dict[Pair, tuple[Artifact, str]] = {
            (artifact.model, artifact.type): (artifact, source) for artifact, source in state.artifacts()
        }
        self._building: dict[tuple[Pair, str], asyncio.Task[None]] = {}
        self._failed: dict[tuple[Pair, str], str] = {}
        self._available: tuple[Desired, AvailableArtifacts] | None = None

    @property
    def failures(self) -> Mapping[Pair, str]:
        """Return what can't be built, and why."""
        return {pair: why for (pair, _), why in self._failed.items()}

    @property
    def building(self) -> tuple[Pair, ...]:
        """Return what is being built."""
        return tuple(pair for pair, _ in self._building)

    @property
    def model_names(self) -> Mapping[str, str]:
        """Return the models of packs, by the first 16 bytes of their digests."""
        return {artifact.digest[:DIGEST16_HEX]: str(artifact.model) for artifact, _ in self._known.values()}

    def available(self, desired: Desired) -> AvailableArtifacts:
        """Return the artifacts built from what Git has now; the same object while nothing changes.

        Artifacts of models that Git no longer has are included: devices may still hold them, and roll back to them.
        """
        if self._available is None or self._available[0] is not desired:
            by_pair = {
                pair: artifact
                for pair, (artifact, source) in self._known.items()
                if pair[1] in desired.types
                and (pair[0] not in desired.models or source == self._builder.source(desired, pair))
            }
            self._available = (desired, AvailableArtifacts.of(desired, by_pair))
        return self._available[1]

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return an artifact's bytes. One that the store has lost is forgotten, so that it is built again."""
        try:
            return self._builder.pack(desired, artifact)
        except FleetError:
            self._known.pop((artifact.model, artifact.type), None)
            self._available = None
            raise

    def build_missing(self, desired: Desired, actions: Iterable[Action]) -> None:
        """Start to build what the plan waits for, and the pre-baked models that devices may run."""
        for pair in self._needed(desired, actions):
            key = (pair, self._builder.source(desired, pair))
            if pair not in self.available(desired).by_pair and key not in self._building and key not in self._failed:
                self._building[key] = asyncio.create_task(self._build(desired, pair, key[1]), name=f"build {pair[0]}")

    async def stop(self) -> None:
        """Cancel all builds and wait for their end."""
        await cancel_and_wait(list(self._building.values()))

    @staticmethod
    def _needed(desired: Desired, actions: Iterable[Action]) -> set[Pair]:
        kinds = {device.type for device in desired.devices.values()}
        needed = {(ref, kind) for kind in kinds for ref in desired.types[kind].prebaked}
        for action in actions:
            if isinstance(action, Install) and action.origin is Origin.BUILD:
                needed.add((action.model, desired.devices[action.device].type))
        return needed

    async def _build(self, desired: Desired, pair: Pair, source: str) -> None:
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
            self._available = None
        finally:
            del self._building[pair, source]
        self._on_change()
