# SPDX-License-Identifier: Apache-2.0
"""Which artifacts a plan needs, each built once, and what is known of those that there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from reconciler.engine.observed.interpret import DIGEST16_HEX, Facts
from reconciler.engine.state.database import StateDatabase
from reconciler.engine.tasks import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import (
    Action,
    Artifact,
    Desired,
    Install,
    ModelRef,
    Origin,
    TypeId,
)

log = logging.getLogger(__name__)

Pair = tuple[ModelRef, TypeId]


class Builder(Protocol):
    """What builds packs, and keeps them."""

    def source(self, desired: Desired, pair: Pair) -> str:
        """Name all that a build of this pair is made of; the same name, the same bytes."""

    async def build(self, desired: Desired, pair: Pair) -> Artifact:
        """Build, or find what was built before. Raises a `FleetError` that says what is wrong with the model."""

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return the bytes of what was built."""


@dataclass(frozen=True, slots=True)
class Current:
    """The artifacts that there are for one wanted state."""

    by_pair: Mapping[Pair, Artifact]
    by_digest16: Mapping[str, Artifact]
    facts: Facts

    @staticmethod
    def of(desired: Desired, by_pair: Mapping[Pair, Artifact]) -> Current:
        """Sort them."""
        by_digest16 = {artifact.digest[:DIGEST16_HEX]: artifact for artifact in by_pair.values()}
        defaults = {
            digest16: desired.models[each.model].parameters
            for digest16, each in by_digest16.items()
            if each.model in desired.models
        }
        return Current(by_pair, by_digest16, Facts(defaults))


class Artifacts:
    """What was built for what Git wants now, what is being built, and what can't be."""

    def __init__(self, builder: Builder, state: StateDatabase, on_change: Callable[[], None]) -> None:
        self._builder = builder
        self._state = state
        self._on_change = on_change
        self._known: dict[Pair, tuple[Artifact, str]] = {
            (artifact.model, artifact.type): (artifact, source) for artifact, source in state.artifacts()
        }
        self._building: dict[tuple[Pair, str], asyncio.Task[None]] = {}
        self._failed: dict[tuple[Pair, str], str] = {}
        self._current: tuple[Desired, Current] | None = None

    @property
    def failures(self) -> Mapping[Pair, str]:
        """Return what can't be built, and why."""
        return {pair: why for (pair, _), why in self._failed.items()}

    @property
    def building(self) -> tuple[Pair, ...]:
        """Return what is being built."""
        return tuple(pair for pair, _ in self._building)

    @property
    def names(self) -> Mapping[str, str]:
        """Return the models of packs, by the first 16 bytes of their digests."""
        return {artifact.digest[:DIGEST16_HEX]: str(artifact.model) for artifact, _ in self._known.values()}

    def current(self, desired: Desired) -> Current:
        """Return the artifacts that were made of just what Git has now; the same object while nothing changes.

        Those of models that Git no longer has are among them: devices may hold them yet, and go back to them.
        """
        if self._current is None or self._current[0] is not desired:
            by_pair = {
                pair: artifact
                for pair, (artifact, source) in self._known.items()
                if pair[1] in desired.types
                and (pair[0] not in desired.models or source == self._builder.source(desired, pair))
            }
            self._current = (desired, Current.of(desired, by_pair))
        return self._current[1]

    def pack(self, desired: Desired, artifact: Artifact) -> bytes:
        """Return an artifact's bytes; one that is gone from the store is built again."""
        try:
            return self._builder.pack(desired, artifact)
        except FleetError:
            self._known.pop((artifact.model, artifact.type), None)
            self._current = None
            raise

    def provide(self, desired: Desired, actions: Iterable[Action]) -> None:
        """Begin to build what the plan waits for, and the pre-baked models that devices may run."""
        for pair in self._wanted(desired, actions):
            key = (pair, self._builder.source(desired, pair))
            if pair not in self.current(desired).by_pair and key not in self._building and key not in self._failed:
                self._building[key] = asyncio.create_task(self._build(desired, pair, key[1]), name=f"build {pair[0]}")

    async def stop(self) -> None:
        """Give up what is being built."""
        await cancel_and_wait(list(self._building.values()))

    @staticmethod
    def _wanted(desired: Desired, actions: Iterable[Action]) -> set[Pair]:
        kinds = {device.type for device in desired.devices.values()}
        wanted = {(ref, kind) for kind in kinds for ref in desired.types[kind].prebaked}
        for action in actions:
            if isinstance(action, Install) and action.origin is Origin.BUILD:
                wanted.add((action.model, desired.devices[action.device].type))
        return wanted

    async def _build(self, desired: Desired, pair: Pair, source: str) -> None:
        log.info("building %s for %s", *pair)
        try:
            artifact = await self._builder.build(desired, pair)
        except FleetError as failure:
            log.error("building %s for %s failed: %s", *pair, failure)  # noqa: TRY400 - expected: no traceback
            self._failed[pair, source] = str(failure)
        else:
            log.info("built %s for %s: %d bytes, %s", *pair, artifact.pack_bytes, artifact.digest[:12])
            self._state.built(artifact, source)
            self._known[pair] = (artifact, source)
            self._current = None
        finally:
            del self._building[pair, source]
        self._on_change()
