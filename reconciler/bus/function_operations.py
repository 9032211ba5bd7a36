# SPDX-License-Identifier: Apache-2.0
"""Functions as operations of a node, and what they may ask of it while they run."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.bus.local_storage import ItemStore
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.functions.runtime import FunctionRuntime, LoadedFunction, OutOfFuel
from reconciler.model import BucketAccess, Function
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.limits import CALL_BYTES
from reconciler.operations.resolution import Capability, NodeLoad


def loaded_function(function: Function) -> LoadedFunction:
    """Return a function as the runtime runs it."""
    module = f"{function.source.sha256} {function.entry} {','.join(allowed_imports(function))}"
    limits = function.limits
    return LoadedFunction(function.name, module, function.entry, limits.memory_bytes, limits.fuel, limits.time_ms)


def allowed_imports(function: Function) -> tuple[str, ...]:
    """Return what the module may import."""
    access = {need.access for need in function.needs.storage}
    allowed = {"append": BucketAccess.APPEND in access, "read": BucketAccess.READ in access}
    allowed["call"] = bool(function.needs.operations)
    return tuple(name for name, given in allowed.items() if given)


@dataclass(slots=True)
class FunctionQueue:
    """How many calls of functions wait or run, and how long one takes."""

    waiting_max: int
    waiting: int = 0
    service_s: float = 0.0

    def load(self) -> NodeLoad:
        """Return how soon the next call would be done."""
        return NodeLoad(waiting=self.waiting, waiting_max=self.waiting_max, service_s=self.service_s)

    def took(self, seconds: float) -> None:
        """Take in how long a call took; recent ones count more."""
        self.service_s += (seconds - self.service_s) / 8


Failure = tuple[str, str]  # the reason of the condition `Serving`, and the message


@dataclass(slots=True)
class FunctionTally:
    """How often a function was called, and how."""

    calls: int = 0
    failed: int = 0
    failure: Failure | None = None  # of the last call; None: it did not fail

    def count(self, failure: Failure | None) -> None:
        """Count a call."""
        self.calls += 1
        self.failed += failure is not None
        self.failure = failure


def function_capability(function: Function, node: str) -> Capability:
    """Return how the operation of a function is listed."""
    return Capability(
        function.operation,
        node,
        DataDescriptor(function.inputs, function.task),
        DataDescriptor(function.outputs, function.task),
        f"{function.name} {function.version}",
        function.idempotent,
        near=function.placement.near,
    )


OnEnd = Callable[[Function, Failure | None], None]  # a call has ended, and why it failed


class FunctionOperations:
    """Makes operations of functions that are loaded."""

    def __init__(
        self,
        node: OperationNode,
        runtime: FunctionRuntime,
        queue: FunctionQueue,
        store: ItemStore | None,
        on_end: OnEnd | None = None,
    ) -> None:
        self._node, self._runtime, self._queue, self._store = node, runtime, queue, store
        self._on_end = on_end

    def offered(self, function: Function) -> OfferedOperation:
        """Return the operation of a function."""
        loaded = loaded_function(function)

        async def perform(asked: Invocation) -> bytes:
            host = _Host(function, asked, self._node, self._store)
            try:
                result = await self._run(loaded, asked, host)
            except OperationFailed as failure:
                reason = "OutOfFuel" if isinstance(failure, OutOfFuel) else "Failing"
                self._ended(function, (reason, f"the last call failed: {failure.why}"))
                raise
            self._ended(function, None)
            return result

        reads = [need.bucket for need in function.needs.storage if need.access is BucketAccess.READ]
        store = self._store

        def has_data() -> bool:
            return store is not None and any(store.fullness(bucket)[0] for bucket in reads)

        return OfferedOperation(function_capability(function, self._node.name), perform, self._queue.load, has_data)

    async def _run(self, loaded: LoadedFunction, asked: Invocation, host: _Host) -> bytes:
        if asked.depth:
            return await self._runtime.run(loaded, asked.data, host, inside=True)
        self._queue.waiting += 1
        try:
            began_s = time.monotonic()
            result = await self._runtime.run(loaded, asked.data, host)
            self._queue.took((time.monotonic() - began_s) / self._queue.waiting)
        finally:
            self._queue.waiting -= 1
        return result

    def _ended(self, function: Function, failure: Failure | None) -> None:
        if self._on_end is not None:
            self._on_end(function, failure)


class _Host:
    """What one call of a function may ask: exactly what the function's `needs` name."""

    def __init__(self, function: Function, asked: Invocation, node: OperationNode, store: ItemStore | None) -> None:
        self._function, self._asked, self._node, self._store = function, asked, node, store
        self._calls = 0

    async def append(self, place: int, data: bytes) -> int:
        bucket = self._bucket(place, BucketAccess.APPEND)
        if bucket is None or self._store is None:
            return -AnswerCode.FORBIDDEN
        operation = f"data.put.{bucket}"
        code, result = await self._inside(operation, data)
        return code or int.from_bytes(result, "little")

    async def read(self, place: int, back: int) -> tuple[int, bytes]:
        bucket = self._bucket(place, BucketAccess.READ)
        if bucket is None or self._store is None:
            return -AnswerCode.FORBIDDEN, b""
        data = self._store.newest(bucket, back)
        return (-AnswerCode.NOT_FOUND, b"") if data is None else (0, data)

    async def call(self, place: int, data: bytes) -> tuple[int, bytes]:
        operations = self._function.needs.operations
        if not 0 <= place < len(operations):
            return -AnswerCode.FORBIDDEN, b""
        return await self._inside(operations[place], data)

    async def _inside(self, operation: str, data: bytes) -> tuple[int, bytes]:
        """Perform an operation. Its call follows from ours, so that the same call stores nothing twice."""
        self._calls += 1
        seed = self._asked.call + self._asked.caller.encode() + self._calls.to_bytes(4)
        call = hashlib.sha256(seed).digest()[:CALL_BYTES]
        asked = replace(self._asked, data=data, caller=f"function {self._function.name}", call=call)
        try:
            return 0, await self._node.call_inside(operation, asked)
        except OperationFailed as failure:
            return -failure.code, b""

    def _bucket(self, place: int, access: BucketAccess) -> str | None:
        needs = self._function.needs.storage
        allowed = 0 <= place < len(needs) and needs[place].access is access
        return needs[place].bucket if allowed else None
