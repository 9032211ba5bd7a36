# SPDX-License-Identifier: Apache-2.0
"""A node with a bucket and functions, as a gateway has it, on a real broker."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from reconciler.bus.built_in import bucket_operations, inspect_operation
from reconciler.bus.function_operations import FunctionOperations, FunctionQueue, allowed_imports, loaded_function
from reconciler.bus.local_storage import ItemStore
from reconciler.bus.node import OfferedOperation, OperationNode
from reconciler.bus.request_server import RequestServer
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.functions.runtime import FunctionRuntime
from reconciler.model import (
    Bucket,
    BucketAccess,
    BucketNeed,
    Function,
    FunctionId,
    FunctionLimits,
    FunctionNeeds,
    FunctionSource,
    ItemDescriptor,
    LocalStorage,
    ValueDescriptor,
    ValueElement,
    Version,
)
from tests.functions.modules import APPEND, EXAMPLE, LOOP, MEMORY_BYTES, RESULT, module

WINDOW = ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(None, 3), unit="mg")
BUCKET = Bucket("vibration", ItemDescriptor(dtype=ValueElement.INT16, shape=(None, 3), unit="mg"))
KEEP = f"(drop (call $append (i32.const 0) (local.get $address) (local.get $length))) {RESULT}"


def function(
    name: str, source: bytes, outputs: ValueDescriptor, needs: FunctionNeeds | None = None
) -> tuple[Function, bytes]:
    digest = hashlib.sha256(source).hexdigest()
    where = FunctionSource(f"functions/{name}.wat", digest)
    operation, inputs = f"features.{name}", (WINDOW,)
    made = Function(
        FunctionId(name), Version("1.0.0"), operation, where, (outputs,), inputs, needs=needs or FunctionNeeds()
    )
    return made, source


RMS = function("rms", EXAMPLE.read_bytes(), ValueDescriptor(name="rms", dtype=ValueElement.INT32, shape=(3,)))
_LOOP = function("loops", LOOP, WINDOW)
LOOPS = replace(_LOOP[0], limits=FunctionLimits(fuel=1 << 40)), _LOOP[1]
KEEPS = function(
    "keeps",
    module(KEEP, imports=APPEND, pages=2),
    WINDOW,
    FunctionNeeds((BucketNeed("vibration", BucketAccess.APPEND),)),
)


class NodeSite:
    """Runs the node in an event loop of its own."""

    def __init__(self, settings: MqttSettings, folder: Path, functions: Iterable[tuple[Function, bytes]]) -> None:
        self._settings, self._folder, self._functions = settings, folder, tuple(functions)
        self._up, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.loop: asyncio.AbstractEventLoop | None = None
        self.server: RequestServer | None = None
        self.more: Mapping[str, OfferedOperation] = {}  # set before it starts
        self.sent: list[tuple[str, bytes]] = []  # to clients

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        store = ItemStore(self._folder / "storage.db")
        store.configure(LocalStorage((BUCKET,)))
        node, runtime, link = (
            OperationNode(self._settings.gateway),
            FunctionRuntime(MEMORY_BYTES),
            MqttLink(self._settings),
        )
        offered = {**inspect_operation(node), **bucket_operations(node.name, BUCKET, store), **self.more}
        operations = FunctionOperations(node, runtime, FunctionQueue(64), store)
        for each, source in self._functions:
            await runtime.load(loaded_function(each), source, text=True, allowed=allowed_imports(each))
            offered[each.operation] = operations.offered(each)
        node.offer(offered)

        def send(client: str, payload: bytes) -> None:
            self.sent.append((client, payload))
            link.answer(client, payload)

        self.server = RequestServer(node, send)
        link.serve_requests(self.server.received)
        running = asyncio.create_task(link.run())
        async for _ in link.events():
            break
        self._up.set()
        await self._stop.wait()
        await self.server.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await runtime.close()
        store.close()
