# SPDX-License-Identifier: Apache-2.0
"""The models of a pool as what the caged process loads: packs that are built, or files from the repository."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from reconciler.compiler.pool.messages import PooledKind, PooledModel
from reconciler.engine.artifacts.build_service_adapter import Builder
from reconciler.engine.samples.own_contests import OwnContest
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.errors import FleetError
from reconciler.model import Desired, DeviceType, Model, ModelRef, Runtime, TypeId

log = logging.getLogger(__name__)

# A device type without limits: a model of the pool is built for it when it is a forest or a threshold model.
GATEWAY_TYPE = DeviceType(
    TypeId("gateway-pool"),
    architecture="host",
    slot_bytes=1 << 30,
    arena_bytes=1 << 30,
    operators=frozenset({"TREE_ENSEMBLE", "THRESHOLD"}),
)
FILE_KINDS = {
    ".keras": PooledKind.KERAS,
    ".pack": PooledKind.PACK,
    ".skops": PooledKind.SKOPS,
    ".tflite": PooledKind.TFLITE,
}


class PoolModels:
    """Builds or fetches what contests need, in the background. For the event loop's thread only."""

    def __init__(self, builder: Builder, on_ready: Callable[[], None]) -> None:
        self._builder = builder
        self._on_ready = on_ready
        self._ready: dict[ModelRef, tuple[str, PooledModel]] = {}  # with the source that it was made of
        self._failed: dict[tuple[ModelRef, str], str] = {}
        self._tasks: dict[ModelRef, asyncio.Task[None]] = {}

    def of(self, contest: OwnContest) -> Mapping[ModelRef, PooledModel]:
        """Return the models of a contest that are ready."""
        ready = {ref: self._ready[ref][1] for ref in contest.thresholds if ref in self._ready}
        return {**ready, **{each.candidate.model: each.pooled for each in contest.local}}

    def settled(self, contest: OwnContest) -> bool:
        """Return whether every model of a contest is ready or can't be made."""
        failed = {ref for ref, _ in self._failed}
        return all(ref not in self._tasks and (ref in self._ready or ref in failed) for ref in _in_git(contest))

    def failures(self, contest: OwnContest) -> Mapping[str, str]:
        """Return what is wrong with models of a contest, by their names."""
        wanted = contest.thresholds
        return {str(ref): why for (ref, _), why in self._failed.items() if ref in wanted}

    def ensure(self, desired: Desired, contest: OwnContest) -> None:
        """Start what is missing for a contest, or was made of another source."""
        for ref in _in_git(contest):
            model, kind = desired.models[ref], _type_of(desired.models[ref], contest)
            source = self._source(desired, model, kind)
            if ref in self._tasks or (ref, source) in self._failed:
                continue
            if ref not in self._ready or self._ready[ref][0] != source:
                work = self._make(desired, model, kind, source)
                self._tasks[ref] = asyncio.create_task(work, name=f"pool {ref}")

    @property
    def busy(self) -> bool:
        """Return whether anything is being built or fetched."""
        return bool(self._tasks)

    async def stop(self) -> None:
        """Cancel what is in progress."""
        await cancel_and_wait(list(self._tasks.values()))

    def _source(self, desired: Desired, model: Model, kind: DeviceType | None) -> str:
        if kind is None:
            return hashlib.sha256(f"{model.source.sha256} {model.decide}".encode()).hexdigest()
        return self._builder.source(_with_type(desired, kind), (model.ref, kind.name))

    async def _make(self, desired: Desired, model: Model, kind: DeviceType | None, source: str) -> None:
        ref = model.ref
        try:
            made = await (self._file(desired, model) if kind is None else self._pack(desired, ref, kind))
        except FleetError as failure:
            log.error("model %s can't vote: %s", ref, failure)  # noqa: TRY400 - expected: no traceback
            self._failed[ref, source] = str(failure)
        else:
            self._ready[ref] = (source, made)
        finally:
            del self._tasks[ref]
        self._on_ready()

    async def _file(self, desired: Desired, model: Model) -> PooledModel:
        data = await self._builder.source_file(desired, model.source)
        decide = model.decide.value if model.decide is not None else None
        digest = hashlib.sha256(data + repr(decide).encode()).hexdigest()
        return PooledModel(str(model.ref), digest, _file_kind(model), data, decide)

    async def _pack(self, desired: Desired, ref: ModelRef, kind: DeviceType) -> PooledModel:
        known = _with_type(desired, kind)
        artifact = await self._builder.build(known, (ref, kind.name))
        return PooledModel(str(ref), artifact.digest, PooledKind.PACK, self._builder.pack(known, artifact))


def _in_git(contest: OwnContest) -> set[ModelRef]:
    """Return the models that have a document."""
    return contest.thresholds.keys() - {each.candidate.model for each in contest.local}


def _type_of(model: Model, contest: OwnContest) -> DeviceType | None:
    """Return for which type a model is built; None: it is run from its file."""
    if not model.pool_only:
        return next((kind for kind in contest.types if kind.runtime is Runtime.C), contest.types[0])  # packs vote
    return None if _suffix(model) in FILE_KINDS else GATEWAY_TYPE


def _file_kind(model: Model) -> PooledKind:
    return FILE_KINDS[_suffix(model)]


def _suffix(model: Model) -> str:
    return PurePosixPath(model.source.path or model.source.url or "").suffix


def _with_type(desired: Desired, kind: DeviceType) -> Desired:
    return desired if kind.name in desired.types else replace(desired, types={**desired.types, kind.name: kind})
