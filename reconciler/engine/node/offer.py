# SPDX-License-Identifier: Apache-2.0
"""Makes what a gateway offers as a node equal to what Git wants: local storage, functions, and their operations."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from reconciler.bus.begun_calls import CALLS_FILE, BegunCalls
from reconciler.bus.built_in import bucket_operations, inspect_operation
from reconciler.bus.fleet_changes import Propose, change_operation
from reconciler.bus.function_operations import (
    Failure,
    FunctionOperations,
    FunctionQueue,
    FunctionTally,
    allowed_imports,
    loaded_function,
)
from reconciler.bus.local_storage import STORAGE_FILE, BucketFigures, ItemStore, StorageUnusable
from reconciler.bus.node import OfferedOperation, OperationNode
from reconciler.bus.pipeline_operations import infer_operation
from reconciler.engine.node.devices import DeviceNodes, NodeDevice
from reconciler.functions.runtime import CompileRefused, FunctionRuntime
from reconciler.model import Commit, Function, FunctionId, GatewayId, GatewayNode, LocalStorage, PipelineId
from reconciler.report.function_status import FunctionFigures, FunctionReport

log = logging.getLogger(__name__)

TEXT = ".wat"
MISSING_RUNTIME = "the package wasmtime is not installed; install the extra `functions`"

ReadFile = Callable[[Commit, str], Awaitable[bytes]]
InferPipeline = Callable[[str, bytes], Awaitable[tuple[bytes, bool]]]


@dataclass(frozen=True, slots=True)
class OfferPorts:
    """What an offer is made with."""

    folder: Path
    read: ReadFile
    propose: Propose  # what clients wish for
    infer: InferPipeline | None = None


@dataclass(frozen=True, slots=True)
class WantedNode:
    """What Git wants of this gateway as a node."""

    commit: Commit
    node: GatewayNode
    functions: tuple[Function, ...]  # those that it holds
    placed_nowhere: tuple[Function, ...] = ()  # those that it would hold if it did not drain, and nobody else holds
    holders: Mapping[FunctionId, tuple[GatewayId, ...]] = field(default_factory=dict)
    devices: tuple[NodeDevice, ...] = ()  # those that it serves
    pipelines: tuple[PipelineId, ...] = ()  # likewise


@dataclass(slots=True)
class _Runtime:
    """The process for functions, and who waits for it."""

    memory_bytes: int
    process: FunctionRuntime
    queue: FunctionQueue
    loaded: set[str] = field(default_factory=set)


class NodeOffer:
    """What this gateway offers now. For the event loop's thread only; one `apply` at a time."""

    def __init__(
        self, node: OperationNode, devices: DeviceNodes, ports: OfferPorts, changed: Callable[[], None]
    ) -> None:
        self._node, self._devices, self._ports, self._changed = node, devices, ports, changed
        self._store: ItemStore | None = None
        self.begun: BegunCalls | None = None
        self._runtime: _Runtime | None = None
        self._buckets: tuple[str, ...] = ()
        self._modules: set[str] = set()  # of the functions that are offered
        self._reports: Mapping[FunctionId, FunctionReport] = {}
        self.tallies: dict[FunctionId, FunctionTally] = {}
        self.trouble: tuple[str, str] | None = None  # the reason and the message

    @property
    def reports(self) -> tuple[FunctionReport, ...]:
        """Return what is to be reported about each function."""
        return tuple(self._counted(each) for _, each in sorted(self._reports.items()))

    def _counted(self, report: FunctionReport) -> FunctionReport:
        tally = self.tallies.get(report.figures.function)
        if tally is None:
            return report
        figures = replace(report.figures, calls=tally.calls, failed=tally.failed)
        return replace(report, figures=figures, failure=tally.failure)

    @property
    def buckets(self) -> Mapping[str, BucketFigures]:
        """Return how full each bucket is."""
        store = self._store
        return {name: store.figures(name) for name in self._buckets} if store is not None else {}

    @property
    def fullness(self) -> Mapping[str, tuple[int, int]]:
        """Return the items and bytes of each bucket, without asking the file."""
        store = self._store
        return {name: store.fullness(name) for name in self._buckets} if store is not None else {}

    async def apply(self, wanted: WantedNode) -> None:
        """Offer what is wanted. Calls in progress end with what they began with."""
        self.trouble = None
        self._open_calls()
        self._configure_storage(wanted.node.storage)
        offered = inspect_operation(self._node)
        buckets = wanted.node.storage.buckets if wanted.node.storage is not None else ()
        if self._store is not None:
            for bucket in buckets:
                offered |= bucket_operations(self._node.name, bucket, self._store)
        self._buckets = tuple(bucket.name for bucket in buckets)
        if wanted.node.changes is not None:
            offered |= change_operation(self._node.name, wanted.node.changes.clients, self._ports.propose)
        if self._ports.infer is not None:
            for name in wanted.pipelines:
                operation = infer_operation(name, self._node.name, partial(self._ports.infer, name))
                offered[operation.capability.operation] = operation
        offered |= await self._functions(wanted)
        offered |= self._devices.offered(wanted.devices, self._node.name)
        self._node.offer(offered)
        self._forget()

    def expire(self, now: float) -> None:
        """Delete what the local storage keeps no longer."""
        if self._store is not None:
            self._store.expire(now)

    async def close(self) -> None:
        """End the process for functions, and close the local storage."""
        self._node.offer({})
        await self._devices.stop()
        if self._runtime is not None:
            await self._runtime.process.close()
            self._runtime = None
        if self._store is not None:
            self._store.close()
            self._store = None
        if self.begun is not None:
            self.begun.close()
            self.begun = None
        self._reports, self._buckets, self.trouble = {}, (), None

    def _open_calls(self) -> None:
        """Open the file of calls that have begun; without it, a call may run again after a restart."""
        try:
            if self.begun is None:
                self.begun = BegunCalls(self._ports.folder / CALLS_FILE)
        except StorageUnusable as unusable:
            self.trouble = (unusable.reason, str(unusable))

    def _configure_storage(self, storage: LocalStorage | None) -> None:
        """Open the local storage when Git wants one; what is in it stays when Git no longer does."""
        if storage is None:
            return
        try:
            if self._store is None:
                self._store = ItemStore(self._ports.folder / STORAGE_FILE, self._changed)
            self._store.configure(storage)
        except StorageUnusable as unusable:
            self.trouble = (unusable.reason, str(unusable))

    async def _functions(self, wanted: WantedNode) -> dict[str, OfferedOperation]:
        """Load the functions; one that is refused is reported, and the others are offered."""
        runtime = await self._runtime_for(wanted)
        store = self._store if wanted.node.storage is not None else None
        reports: dict[FunctionId, FunctionReport] = {}
        offered = {}
        modules = set()
        for function in wanted.functions:
            report = _report(function, wanted)
            if runtime is None:
                reports[function.name] = replace(report, refused=("RuntimeMissing", MISSING_RUNTIME))
                continue
            try:
                modules.add(await self._load(runtime, function, wanted.commit))
            except CompileRefused as refused:
                log.warning("function %s can't run: %s: %s", function.name, refused.reason, refused)
                reports[function.name] = replace(report, refused=(refused.reason, str(refused)))
                continue
            reports[function.name] = report
            operations = FunctionOperations(self._node, runtime.process, runtime.queue, store, self._ended)
            offered[function.operation] = operations.offered(function)
        reports |= {each.name: _report(each, wanted) for each in wanted.placed_nowhere}
        self._reports, self._modules = reports, modules
        self.tallies = {name: tally for name, tally in self.tallies.items() if name in reports}
        return offered

    async def _runtime_for(self, wanted: WantedNode) -> _Runtime | None:
        limits = wanted.node.functions
        known = self._runtime
        if known is not None and (limits is None or known.memory_bytes != limits.memory_bytes):
            await known.process.close()
            self._runtime = None
        if limits is None or not wanted.functions:
            return self._runtime
        if not FunctionRuntime.available():
            self.trouble = ("RuntimeMissing", MISSING_RUNTIME)
            return None
        if self._runtime is None:
            queue = FunctionQueue(limits.queue)
            self._runtime = _Runtime(limits.memory_bytes, FunctionRuntime(limits.memory_bytes), queue)
        self._runtime.queue.waiting_max = limits.queue
        return self._runtime

    async def _load(self, runtime: _Runtime, function: Function, commit: Commit) -> str:
        """Have the runtime know the module of a function; return its name there."""
        loaded = loaded_function(function)
        if loaded.module in runtime.loaded:
            return loaded.module
        source = await self._ports.read(commit, function.source.path)
        text = function.source.path.endswith(TEXT)
        await runtime.process.load(loaded, source, text=text, allowed=allowed_imports(function))
        runtime.loaded.add(loaded.module)
        log.info("function %s %s is loaded", function.name, function.version)
        return loaded.module

    def _forget(self) -> None:
        """Forget modules that nothing offers, unless calls wait that may need one."""
        runtime = self._runtime
        if runtime is None or runtime.queue.waiting:
            return
        runtime.process.forget(self._modules)
        runtime.loaded = set(self._modules)

    @property
    def calls_in_progress(self) -> int:
        """Return how many calls of functions run or wait, also of functions that are gone."""
        return self._runtime.queue.waiting if self._runtime is not None else 0

    @property
    def storage_refusals(self) -> Mapping[str, str] | None:
        """Return why the last item of a bucket was refused; None: there are no buckets."""
        return dict(self._store.refused) if self._store is not None and self._buckets else None

    def _ended(self, function: Function, failure: Failure | None) -> None:
        """Count a call that has ended."""
        known = self._reports.get(function.name)
        tally = self.tallies.setdefault(function.name, FunctionTally()) if known is not None else FunctionTally()
        before = tally.failure
        tally.count(failure)
        if tally.failure != before or (known is None and not self.calls_in_progress):
            self._changed()


def _report(function: Function, wanted: WantedNode) -> FunctionReport:
    figures = FunctionFigures(function.name, function.operation, function.version)
    return FunctionReport(figures, wanted.holders.get(function.name, ()), function.placement.replicas)
