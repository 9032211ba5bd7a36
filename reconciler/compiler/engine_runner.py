# SPDX-License-Identifier: Apache-2.0
"""Runs packs on the C engine, on this machine or on an emulated board.

The runner is `firmware/runner`, built by `make firmware-runner`; `firmware/runner/runner.h` describes its
request and its answer. It is a process of its own, so a crash of the engine does not end this one.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from reconciler.compiler.errors import BuildFailed, PackMalformed

_HEAD = struct.Struct("<5I")
_RESULT = struct.Struct("<iiiII")
_TIMEOUT_S = 600.0
FIRMWARE_VARIABLE = "TINYFLEET_FIRMWARE"


class ExecutionTarget(Enum):
    """Where to run a pack."""

    HOST = "host"
    MPS2_AN386 = "mps2-an386"
    RISCV32_VIRT = "riscv32-virt"


@dataclass(frozen=True, slots=True)
class Inference:
    """The result of one inference; `instructions` is 0 where they are not counted."""

    error: int
    decision: int
    score: int
    instructions: int
    outputs: bytes


@dataclass(frozen=True, slots=True)
class Execution:
    """The engine's verdict on a pack (0, or a negative code of tinyfleet/error.h) and its inferences."""

    verdict: int
    first_wrong_golden: int | None
    inferences: tuple[Inference, ...]


def execute(
    target: ExecutionTarget,
    pack: bytes,
    inputs: Sequence[bytes],
    *,
    arena_bytes: int | None = None,
    parameters: Sequence[int] = (),
) -> Execution:
    """Run a pack on inputs of the same length."""
    request = make_request(pack, inputs, arena_bytes=arena_bytes, parameters=parameters)
    if target is ExecutionTarget.HOST:
        with closing(HostRunner(runner_program(target))) as runner:
            return runner.ask(request, len(inputs))
    return _on_board(target, request, len(inputs))


def runner_program(target: ExecutionTarget) -> Path:
    """Return the path of the runner."""
    program = _program(target)
    if not program.exists():
        raise BuildFailed(
            f"the engine's runner {program} is missing: run `make firmware-runner` in the source tree, "
            f"or set {FIRMWARE_VARIABLE} to the folder that holds it"
        )
    return program


def runner_is_built(target: ExecutionTarget) -> bool:
    """Return whether the runner has been built."""
    return _program(target).exists()


def _program(target: ExecutionTarget) -> Path:
    root = os.environ.get(FIRMWARE_VARIABLE)
    build = Path(root) if root else Path(__file__).resolve().parents[2] / "firmware" / "build"
    return build / target.value / ("tinyfleet-runner" if target is ExecutionTarget.HOST else "tinyfleet-runner.elf")


def make_request(
    pack: bytes, inputs: Sequence[bytes], *, arena_bytes: int | None = None, parameters: Sequence[int] = ()
) -> bytes:
    """Encode a request to the runner."""
    if len({len(item) for item in inputs}) > 1:
        raise PackMalformed("all inputs must have the same length")
    if arena_bytes is None:
        arena_bytes = int.from_bytes(pack[12:16], "little")
    length = len(inputs[0]) if inputs else 0
    head = _HEAD.pack(len(pack), arena_bytes, length, len(inputs), len(parameters))
    body = b"".join(item + bytes(-len(item) % 4) for item in (pack, *inputs))
    return head + struct.pack(f"<{len(parameters)}i", *parameters) + body


class _Source(Protocol):
    """A stream that an answer is read from."""

    def read(self, length: int, /) -> bytes:
        """Return `length` bytes; fewer only at the end of the stream."""


def _read_answer(source: _Source, count: int) -> Execution:
    def take(length: int) -> bytes:
        data = source.read(length)
        if len(data) != length:
            raise BuildFailed("the engine's runner ended in the middle of its answer: it crashed or was stopped")
        return data

    verdict = int.from_bytes(take(4), "little", signed=True)
    if verdict != 0:
        return Execution(verdict, None, ())
    wrong = int.from_bytes(take(4), "little", signed=True)
    inferences = []
    for _ in range(count):
        error, decision, score, instructions, length = _RESULT.unpack(take(_RESULT.size))
        inferences.append(Inference(error, decision, score, instructions, take(length)))
    return Execution(verdict, None if wrong < 0 else wrong, tuple(inferences))


class HostRunner:
    """The runner on this machine; it answers one request after another."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request: bytes, count: int) -> Execution:
        """Send a request with `count` inputs and return the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("opened with pipes")
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BuildFailed("the engine's runner has ended: it crashed or was stopped") from error
        return _read_answer(self._process.stdout, count)

    def close(self) -> None:
        """End the runner."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class _Emulator:
    """How to start an emulator, and the address at which it loads the request (runner/<board>.c)."""

    command: tuple[str, ...]
    request_at: int


_EMULATORS = {
    ExecutionTarget.MPS2_AN386: _Emulator(
        # this board always has a network chip, which warns if it has no peer
        (
            *("qemu-system-arm", "-M", "mps2-an386", "-nic", "user,restrict=on"),
            *("-icount", "shift=5", "-kernel", "{elf}"),
        ),
        0x21000000,
    ),
    ExecutionTarget.RISCV32_VIRT: _Emulator(
        ("qemu-system-riscv32", "-M", "virt", "-smp", "1", "-m", "64M", "-icount", "shift=0", "-bios", "{elf}"),
        0x80400000,
    ),
}


def _on_board(target: ExecutionTarget, request: bytes, count: int) -> Execution:
    emulator, elf = _EMULATORS[target], runner_program(target)
    ours, uart = socket.socketpair()
    with tempfile.NamedTemporaryFile() as file, ours, ours.makefile("rb") as answer:
        file.write(request)
        file.flush()
        ours.settimeout(_TIMEOUT_S)
        command = [
            *(part.format(elf=elf) for part in emulator.command),
            *("-display", "none", "-monitor", "none", "-nodefaults"),
            *("-device", f"loader,file={file.name},addr={emulator.request_at:#x},force-raw=on"),
            *("-chardev", f"socket,id=uart,fd={uart.fileno()}", "-serial", "chardev:uart"),
        ]
        with uart:
            try:
                process = subprocess.Popen(command, pass_fds=(uart.fileno(),))
            except FileNotFoundError as error:
                raise BuildFailed(f"{command[0]}, which emulates {target.value}, is not installed") from error
        try:
            return _read_answer(answer, count)
        except TimeoutError as error:
            raise BuildFailed(f"no answer from {target.value} after {_TIMEOUT_S:.0f} seconds") from error
        finally:
            process.kill()
            process.wait()
