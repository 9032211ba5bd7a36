# SPDX-License-Identifier: Apache-2.0
"""The functions of a gateway: one caged process, which runs one call at a time (docs/adr/0123).

A function that crashes the process, or hangs where its limits do not reach, costs its own call: the others still wait
here, and the next one starts another process. For the event loop's thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import signal
import tempfile
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from reconciler.compiler.sandbox import cage_command, cage_environment
from reconciler.operations.codes import AnswerCode, OperationFailed

log = logging.getLogger(__name__)

LOAD_S = 30.0  # to start the process, and to compile a module of 1 MiB
GRACE_S = 1.0  # after the limit on time of a call, before the process is ended
CPU_S = 3600  # of a process; it is replaced when half of it is used
FILE_BYTES = 1 << 20  # libffi keeps callbacks in a file in memory, where none may be both written and executed
LINE_BYTES_MAX = 1 << 16

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class LoadedFunction:
    """A function as the process runs it. `module` names its bytes and what it may import."""

    name: str
    module: str
    entry: str
    memory_bytes: int
    fuel: int
    time_ms: int


class HostAnswers(Protocol):
    """What a function may ask of the gateway; a code below 0 is a failure."""

    async def append(self, place: int, data: bytes) -> int:
        """Store an item; return its number."""

    async def read(self, place: int, back: int) -> tuple[int, bytes]:
        """Return an item."""

    async def call(self, place: int, data: bytes) -> tuple[int, bytes]:
        """Return the result of an operation."""


class CompileRefused(Exception):
    """A module can't be run. The reason is one of the condition `Compiled`."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class OutOfFuel(OperationFailed):
    """A call has used up its fuel."""


class _ProcessEnded(Exception):
    """The process ended in the middle of an exchange."""


class FunctionRuntime:
    """Loads modules and runs calls."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._compiled: dict[str, bytes] = {}
        self._turn = asyncio.Lock()  # one chain of calls at a time
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._in_process: set[str] = set()
        self._closed = False
        self.starts = 0  # processes that were started

    @staticmethod
    def available() -> bool:
        """Return whether the runtime is installed."""
        return importlib.util.find_spec("wasmtime") is not None

    async def load(self, function: LoadedFunction, source: bytes, *, text: bool, allowed: Sequence[str]) -> None:
        """Compile a module and check what it imports."""
        header = {
            "op": "load",
            "module": function.module,
            "entry": function.entry,
            "text": text,
            "allowed": list(allowed),
        }
        async with self._turn:
            try:
                answer, blobs = await _within(LOAD_S, self._exchange(header, source, None))
            except (_ProcessEnded, TimeoutError) as ended:
                await self._end()
                raise CompileRefused("WasmInvalid", f"the compiler did not finish: {_why(ended)}") from ended
        if "rejected" in answer:
            raise CompileRefused(answer["rejected"], answer["why"])
        if "failed" in answer:
            raise CompileRefused("WasmInvalid", answer["failed"])
        self._compiled[function.module] = blobs[0]
        self._in_process.add(function.module)

    def forget(self, keep: set[str]) -> None:
        """Forget the modules that are not among these; the process keeps them until it is replaced."""
        self._compiled = {name: code for name, code in self._compiled.items() if name in keep}

    async def run(self, function: LoadedFunction, data: bytes, host: HostAnswers, *, inside: bool = False) -> bytes:
        """Run one call. `inside` a call that waits for this one, it has the process already."""
        if inside:
            return await self._run(function, data, host)
        async with self._turn:
            return await self._run(function, data, host)

    async def close(self) -> None:
        """End the process; calls that wait fail."""
        self._closed = True
        await self._end()

    async def _run(self, function: LoadedFunction, data: bytes, host: HostAnswers) -> bytes:
        if self._closed:
            raise OperationFailed(AnswerCode.FUNCTION_FAILED, "the gateway has ended the process for functions")
        header = {
            "op": "run",
            "module": function.module,
            "entry": function.entry,
            "memory_bytes": function.memory_bytes,
            "fuel": function.fuel,
            "time_ms": function.time_ms,
        }
        try:
            await _within(LOAD_S, self._restored(function.module))
            limit_s = function.time_ms / 1000 + GRACE_S
            answer, blobs = await _within(limit_s, self._exchange(header, data, host))
        except (_ProcessEnded, OSError) as ended:  # also a timeout, or no process could be started
            await self._end()
            log.warning("function %s ended its process: %s", function.name, _why(ended))
            raise OperationFailed(AnswerCode.FUNCTION_FAILED, _why(ended)) from ended
        except asyncio.CancelledError:
            await self._end()  # nobody would read its answer
            raise
        if "failed" in answer:
            kind = OutOfFuel if answer["out_of_fuel"] else OperationFailed
            raise kind(AnswerCode.FUNCTION_FAILED, answer["failed"])
        return blobs[0]

    async def _restored(self, module: str) -> None:
        await self._started()
        if module not in self._in_process:
            await self._exchange({"op": "restore", "module": module}, self._compiled[module], None)
            self._in_process.add(module)

    async def _exchange(
        self, header: Mapping[str, Any], data: bytes, host: HostAnswers | None
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Send a message, answer what the function asks, and return how it ended."""
        process = await self._started()
        _send(process, header, data)
        while True:
            answer, blobs = await _receive(process)
            if "end" in answer:
                if answer["cpu_s"] > CPU_S / 2 and header["op"] == "load":
                    await self._end()  # the next one starts with all of its time
                return answer, blobs
            if host is None:
                raise _ProcessEnded("it asked for something out of turn")
            result, given = await _answered(host, answer, blobs[0])
            _send(process, {"result": result}, given)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory(prefix="tinyfleet-functions-")
            folder = Path(self._folder.name)
            limits = {"memory_bytes": self._memory_bytes, "cpu_s": CPU_S, "file_bytes": FILE_BYTES}
            self._process = await asyncio.create_subprocess_exec(
                *cage_command("reconciler.functions.worker", json.dumps(limits)),
                cwd=folder,
                env=cage_environment(folder),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                limit=LINE_BYTES_MAX,
            )
            self.starts += 1
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        self._in_process.clear()
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


async def _within(limit_s: float, work: Awaitable[Made]) -> Made:
    async with asyncio.timeout(limit_s):
        return await work


async def _answered(host: HostAnswers, question: Mapping[str, Any], data: bytes) -> tuple[int, bytes]:
    place = question["place"]
    if question["ask"] == "append":
        return await host.append(place, data), b""
    if question["ask"] == "read":
        return await host.read(place, question["back"])
    return await host.call(place, data)


def _send(process: asyncio.subprocess.Process, header: Mapping[str, Any], data: bytes) -> None:
    if process.stdin is None:
        raise RuntimeError("opened with pipes")
    process.stdin.write(json.dumps({**header, "blobs": [len(data)]}).encode() + b"\n" + data)


async def _receive(process: asyncio.subprocess.Process) -> tuple[dict[str, Any], list[bytes]]:
    if process.stdout is None:
        raise RuntimeError("opened with pipes")
    try:
        header: dict[str, Any] = json.loads(await process.stdout.readuntil(b"\n"))
        return header, [await process.stdout.readexactly(length) for length in header["blobs"]]
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError) as error:
        raise _ProcessEnded(_described(process)) from error


def _described(process: asyncio.subprocess.Process) -> str:
    code = process.returncode
    if code is not None and code < 0:
        return f"it ended the process with {signal.Signals(-code).name}"
    return "it ended the process: it crashed, or needs too much memory"


def _why(ended: Exception) -> str:
    return "it did not return within its limit on time" if isinstance(ended, TimeoutError) else str(ended)
