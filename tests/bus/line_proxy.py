# SPDX-License-Identifier: Apache-2.0
"""A line between two brokers: it delays what it carries, and can be cut or frozen."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests import mosquitto

CHUNK_BYTES = 65536


class LineProxy:
    """Carries connections to a port of this machine, in a thread of its own."""

    def __init__(self, target: int, delay_s: float = 0.0) -> None:
        self.port = mosquitto.free_port()
        self._target, self._delay_s = target, delay_s
        self._loop = asyncio.new_event_loop()
        self._up, self._is_cut, self._is_frozen = threading.Event(), False, False
        self._open: set[asyncio.WriteTransport] = set()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, where: TracebackType | None
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> None:
        """End all connections, and refuse new ones."""
        self._soon(self._cut)

    def freeze(self) -> None:
        """Carry nothing any more, without a word to either side."""
        self._soon(self._freeze)

    def restore(self) -> None:
        """Carry new connections again."""
        self._soon(self._restore)

    def _soon(self, act: Callable[[], None]) -> None:
        done = threading.Event()

        def acted() -> None:
            act()
            done.set()

        self._loop.call_soon_threadsafe(acted)
        assert done.wait(10)

    def _cut(self) -> None:
        self._is_cut = True
        for transport in list(self._open):
            transport.abort()

    def _freeze(self) -> None:
        self._is_frozen = True

    def _restore(self) -> None:
        self._is_cut = self._is_frozen = False

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", self.port))
        self._up.set()
        self._loop.run_forever()
        server.close()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends = {writer.transport, far_writer.transport}
            self._open |= ends
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                self._open -= ends
                for each in ends:
                    each.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            self._loop.call_later(self._delay_s, self._write, writer, data)
        writer.transport.abort()

    def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if not self._is_frozen and not writer.transport.is_closing():
            writer.write(data)
