# SPDX-License-Identifier: Apache-2.0
"""Modules that behave in all ways, and a gateway that answers them."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.functions.runtime import FunctionRuntime, LoadedFunction

EXAMPLE = Path(__file__).parents[2] / "fleet-repo-example" / "functions" / "rms.wat"
MEMORY_BYTES = 256 << 20

Handle = Callable[..., Awaitable[bytes]]


def module(body: str, *, imports: str = "", pages: int = 1) -> bytes:
    """Return a module whose `handle` has this body, and whose input is at 1024."""
    return f"""(module {imports} (memory (export "memory") {pages})
      (func (export "input") (param i32) (result i32) (i32.const 1024))
      (func $handle (export "handle") (param $address i32) (param $length i32) (result i64) {body}))""".encode()


RESULT = (
    "(i64.or (i64.shl (i64.extend_i32_u (local.get $address)) (i64.const 32)) (i64.extend_i32_u (local.get $length)))"
)
ECHO = module(RESULT)
LOOP = module("(loop $again (br $again)) (i64.const 0)")
APPEND = '(import "tinyfleet" "append" (func $append (param i32 i32 i32) (result i64)))'
READ = '(import "tinyfleet" "read" (func $read (param i32 i32 i32 i32) (result i32)))'
CALL = '(import "tinyfleet" "call" (func $call (param i32 i32 i32 i32 i32) (result i32)))'


@dataclass(frozen=True)
class Bounds:
    fuel: int = 20_000_000
    time_ms: int = 2000
    memory_bytes: int = 1 << 20


GENEROUS = Bounds()


async def loaded(
    runtime: FunctionRuntime, source: bytes, bounds: Bounds = GENEROUS, *, allowed: Sequence[str] = ()
) -> LoadedFunction:
    name = hashlib.sha256(source).hexdigest()
    made = LoadedFunction("f", name, "handle", bounds.memory_bytes, bounds.fuel, bounds.time_ms)
    await runtime.load(made, source, text=True, allowed=allowed)
    return made


class Host:
    """A bucket in memory, and operations that are functions of Python."""

    def __init__(self, *operations: Handle) -> None:
        self.items: list[bytes] = []
        self._operations = operations

    async def append(self, place: int, data: bytes) -> int:
        if place:
            return -8
        self.items.append(data)
        return len(self.items)

    async def read(self, place: int, back: int) -> tuple[int, bytes]:
        if place:
            return -8, b""
        return (0, self.items[-1 - back]) if back < len(self.items) else (-11, b"")

    async def call(self, place: int, data: bytes) -> tuple[int, bytes]:
        return 0, await self._operations[place](data)
