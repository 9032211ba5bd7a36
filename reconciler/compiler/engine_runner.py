# SPDX-License-Identifier: Apache-2.0
"""Runs packs on the C engine: on this machine, or on an emulated board.

The program is `firmware/runner`, built by `make firmware-runner`; its request and answer are described in
`firmware/runner/runner.h`. A crash of the engine ends that program, not ours.
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
    """Where a pack runs."""

    HOST = "host"
    MPS2_AN386 = "mps2-an386"
    RISCV32_VIRT = "riscv32-virt"


@dataclass(frozen=True, slots=True)
class Inference:
    """What one inference gave; instructions is 0 where they are not counted."""

    error: int
    decision: int
    score: int
    instructions: int
    outputs: bytes


@dataclass(frozen=True, slots=True)
class Execution:
    """What the engine says of a pack: its verdict (0, or a negative number of tinyfleet/error.h), its inferences."""

    verdict: int
    first_wrong_golden: int | None
    inferences: tuple[Inference, ...]


def execute(
    place: ExecutionTarget,
    pack: bytes,
    inputs: Sequence[bytes],
    *,
    arena_bytes: int | None = None,
    parameters: Sequence[int] = (),
) -> Execution:
    """Run a pack on inputs of the same length."""
    request = make_request(pack, inputs, arena_bytes=arena_bytes, parameters=parameters)
    if place is ExecutionTarget.HOST:
        with closing(HostRunner(runner_program(place))) as runner:
            return runner.ask(request, len(inputs))
    return _on_board(place, request, len(inputs))


def runner_program(place: ExecutionTarget) -> Path:
    """Return the program, or say how to make it."""
    program = _program(place)
    if not program.exists():
        raise BuildFailed(
            f"{program} is missing: run `make firmware-runner` in the source tree, "
            f"or set {FIRMWARE_VARIABLE} to a folder that has it"
        )
    return program


def runner_is_built(place: ExecutionTarget) -> bool:
    """Tell whether the engine's program is there."""
    return _program(place).exists()


def _program(place: ExecutionTarget) -> Path:
    root = os.environ.get(FIRMWARE_VARIABLE)
    build = Path(root) if root else Path(__file__).resolve().parents[2] / "firmware" / "build"
    return build / place.value / ("tinyfleet-runner" if place is ExecutionTarget.HOST else "tinyfleet-runner.elf")


def make_request(
    pack: bytes, inputs: Sequence[bytes], *, arena_bytes: int | None = None, parameters: Sequence[int] = ()
) -> bytes:
    """Write what the runner reads."""
    if len({len(item) for item in inputs}) > 1:
        raise PackMalformed("all inputs must have the same length")
    if arena_bytes is None:
        arena_bytes = int.from_bytes(pack[12:16], "little")
    length = len(inputs[0]) if inputs else 0
    head = _HEAD.pack(len(pack), arena_bytes, length, len(inputs), len(parameters))
    body = b"".join(item + bytes(-len(item) % 4) for item in (pack, *inputs))
    return head + struct.pack(f"<{len(parameters)}i", *parameters) + body


class _Source(Protocol):
    """Where an answer comes from."""

    def read(self, length: int, /) -> bytes:
        """Return so many bytes; fewer only at the end."""


def _read_answer(source: _Source, count: int) -> Execution:
    def take(length: int) -> bytes:
        data = source.read(length)
        if len(data) != length:
            raise BuildFailed("the engine's runner ended before its answer did: it crashed, or was stopped")
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
    """The runner on this machine; takes one request after another."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, request: bytes, count: int) -> Execution:
        """Answer a request with so many inputs."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("opened with pipes")
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BuildFailed("the engine's runner has ended: it crashed, or was stopped") from error
        return _read_answer(self._process.stdout, count)

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait()


@dataclass(frozen=True, slots=True)
class _Machine:
    """How an emulator is started, and where it puts the request (runner/<board>.c)."""

    command: tuple[str, ...]
    request_at: int


_MACHINES = {
    ExecutionTarget.MPS2_AN386: _Machine(
        # the board's network chip is always there, and warns if it has no peer
        (
            *("qemu-system-arm", "-M", "mps2-an386", "-nic", "user,restrict=on"),
            *("-icount", "shift=5", "-kernel", "{elf}"),
        ),
        0x21000000,
    ),
    ExecutionTarget.RISCV32_VIRT: _Machine(
        ("qemu-system-riscv32", "-M", "virt", "-smp", "1", "-m", "64M", "-icount", "shift=0", "-bios", "{elf}"),
        0x80400000,
    ),
}


def _on_board(place: ExecutionTarget, request: bytes, count: int) -> Execution:
    machine, elf = _MACHINES[place], runner_program(place)
    ours, uart = socket.socketpair()
    with tempfile.NamedTemporaryFile() as file, ours, ours.makefile("rb") as answer:
        file.write(request)
        file.flush()
        ours.settimeout(_TIMEOUT_S)
        command = [
            *(part.format(elf=elf) for part in machine.command),
            *("-display", "none", "-monitor", "none", "-nodefaults"),
            *("-device", f"loader,file={file.name},addr={machine.request_at:#x},force-raw=on"),
            *("-chardev", f"socket,id=uart,fd={uart.fileno()}", "-serial", "chardev:uart"),
        ]
        with uart:
            try:
                process = subprocess.Popen(command, pass_fds=(uart.fileno(),))
            except FileNotFoundError as error:
                raise BuildFailed(f"{command[0]} is not installed: it emulates {place.value}") from error
        try:
            return _read_answer(answer, count)
        except TimeoutError as error:
            raise BuildFailed(f"no answer from {place.value} after {_TIMEOUT_S:.0f} seconds") from error
        finally:
            process.kill()
            process.wait()
