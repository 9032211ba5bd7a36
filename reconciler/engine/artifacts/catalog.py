# SPDX-License-Identifier: Apache-2.0
"""The existing artifacts, and the builds of those that the plan needs.

A build that fails because of the model is not tried again until Git changes. One that fails for another reason (an
address that does not answer, a package that is missing here) is tried again with growing pauses, and meanwhile the
store is looked at: another machine may have built the artifact.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass

from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.backoff import Backoff
from reconciler.engine.observed.interpret import PackDefaults
from reconciler.engine.state.writer import StateWriter
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError, Invalid, Transient
from reconciler.model import (
    Action,
    Artifact,
    ArtifactKey,
    BuildFailure,
    Desired,
    DeviceId,
    Install,
    Origin,
    ShortDigest,
    short_digest,
)
from reconciler.model.snapshot_cache import SnapshotCache

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 10.0
LONGEST_PAUSE_S = 900.0
LOOK_EVERY_S = 5.0  # into the store, for what could not be built

_Build = tuple[ArtifactKey, str]  # what is built, and the digest of all that it is made of


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

    def __init__(
        self, builder: Builder, state: StateWriter, on_change: Callable[[], None], jitter: random.Random
    ) -> None:
        self._builder = builder
        self._state = state
        self._on_change = on_change
        self._known: dict[ArtifactKey, tuple[Artifact, str]] = {
            (artifact.model, artifact.type): (artifact, source) for artifact, source in state.artifacts()
        }
        self._building: dict[_Build, asyncio.Task[None]] = {}
        self._failed: dict[_Build, BuildFailure] = {}
        self._backoff: Backoff[_Build] = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, jitter)
        self._looks: Backoff[_Build] = Backoff(LOOK_EVERY_S, LOOK_EVERY_S, jitter)
        self._available: SnapshotCache[AvailableArtifacts] = SnapshotCache()
        self._needed: SnapshotCache[frozenset[ArtifactKey]] = SnapshotCache()

    @property
    def failures(self) -> Mapping[ArtifactKey, BuildFailure]:
        """Return what the plan needs and can't be built, and why."""
        return {pair: failure for (pair, _), failure in self._failed.items()}

    def failures_of(self, desired: Desired, actions: Iterable[Action]) -> Mapping[DeviceId, BuildFailure]:
        """Return why devices wait for an artifact that can't be built."""
        found = self.failures
        if not found:
            return {}
        waiting = [each for each in actions if isinstance(each, Install) and each.origin is Origin.BUILD]
        keys = {each.device: (each.model, desired.devices[each.device].type) for each in waiting}
        return {device: found[key] for device, key in keys.items() if key in found}

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
        except Transient:
            raise  # the store does not answer: it may still have the artifact
        except FleetError:
            self._known.pop((artifact.model, artifact.type), None)
            self._available.clear()
            raise

    def figures(self, desired: Desired, artifact: Artifact) -> Mapping[str, float]:
        """Return the figures of an artifact's build."""
        return self._builder.figures(desired, artifact)

    def build_missing(self, desired: Desired, actions: tuple[Action, ...], now_s: float) -> None:
        """Start to build what the plan waits for, and the pre-baked models that devices may run."""
        needed = self._needed.get(desired, actions)
        if needed is None:
            needed = self._needed.put(_needed(desired, actions), desired, actions)
        missing = [
            (pair, self._builder.source(desired, pair)) for pair in needed if pair not in self.available(desired).by_key
        ]
        self._failed = {key: failure for key, failure in self._failed.items() if key in missing}
        self._backoff.forget_others(self._failed)
        self._looks.forget_others(self._failed)
        for key in missing:
            if key not in self._building and (work := self._work(key, now_s)) is not None:
                self._building[key] = asyncio.create_task(work(desired, key), name=f"build {key[0][0]}")

    def next_try_in_s(self, now_s: float) -> float | None:
        """Return after how long a build that failed is tried again; None: there is none."""
        waiting = [key for key in self._failed if key not in self._building]
        return self._backoff.next_try_in_s(waiting, now_s)

    async def stop(self) -> None:
        """Cancel all builds and wait for their end."""
        await cancel_and_wait(list(self._building.values()))

    def _work(self, key: _Build, now_s: float) -> Callable[[Desired, _Build], Coroutine[object, object, None]] | None:
        """Return what to do now about an artifact that is missing; None: nothing."""
        failure = self._failed.get(key)
        if failure is None or (failure.retried and self._backoff.may_try(key, now_s)):
            return self._build
        if failure.retried and self._looks.may_try(key, now_s):
            self._looks.failed(key, now_s)
            return self._look
        return None

    async def _build(self, desired: Desired, key: _Build) -> None:
        pair, _ = key
        log.info("building %s for %s", *pair)
        try:
            artifact = await self._builder.build(desired, pair)
        except FleetError as failure:
            self._note_failure(key, failure)
        else:
            log.info("built %s for %s: %d bytes, %s", *pair, artifact.pack_bytes, artifact.digest[:12])
            self._keep(key, artifact)
        finally:
            del self._building[key]
        self._on_change()

    async def _look(self, desired: Desired, key: _Build) -> None:
        """Look whether the store has meanwhile what could not be built here."""
        pair, _ = key
        artifact = None
        try:
            artifact = await self._builder.find(desired, pair)
        except FleetError as failure:
            log.debug("looking for %s for %s failed: %s", *pair, failure)
        finally:
            del self._building[key]
        if artifact is not None:
            log.info("found %s for %s in the store: another machine has built it", *pair)
            self._keep(key, artifact)
            self._on_change()

    def _note_failure(self, key: _Build, failure: FleetError) -> None:
        pair, _ = key
        log.error("building %s for %s failed: %s: %s", *pair, failure.reason, failure)
        retried = not isinstance(failure, Invalid)
        self._failed[key] = BuildFailure(*pair, failure.reason, str(failure), retried)
        if retried:
            now_s = asyncio.get_running_loop().time()
            self._backoff.failed(key, now_s)
            self._looks.failed(key, now_s)

    def _keep(self, key: _Build, artifact: Artifact) -> None:
        pair, source = key
        self._state.save_artifact(artifact, source)
        self._known[pair] = (artifact, source)
        self._failed.pop(key, None)
        self._backoff.forget(key)
        self._available.clear()


def _needed(desired: Desired, actions: Iterable[Action]) -> frozenset[ArtifactKey]:
    kinds = {device.type for device in desired.devices.values()}
    needed = {(ref, kind) for kind in kinds for ref in desired.types[kind].prebaked}
    for action in actions:
        if isinstance(action, Install) and action.origin is Origin.BUILD:
            needed.add((action.model, desired.devices[action.device].type))
    return frozenset(needed)
