# SPDX-License-Identifier: Apache-2.0
"""The process of functions: what a module may do, and what it can't do to others."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from reconciler.functions.runtime import CompileRefused, FunctionRuntime, LoadedFunction
from reconciler.operations.codes import AnswerCode, OperationFailed
from tests.functions.modules import (
    APPEND,
    CALL,
    ECHO,
    EXAMPLE,
    GENEROUS,
    LOOP,
    MEMORY_BYTES,
    READ,
    RESULT,
    Bounds,
    Host,
    loaded,
    module,
)

Result = TypeVar("Result")


def using(work: Callable[[FunctionRuntime], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        runtime = FunctionRuntime(MEMORY_BYTES)
        try:
            return await work(runtime)
        finally:
            await runtime.close()

    return asyncio.run(run())


async def failure(runtime: FunctionRuntime, made: LoadedFunction, data: bytes = b"") -> str:
    with pytest.raises(OperationFailed) as caught:
        await runtime.run(made, data, Host())
    assert caught.value.code is AnswerCode.FUNCTION_FAILED
    return caught.value.why


def test_the_example_computes_a_root_mean_square() -> None:
    samples = [(3, -4, 0), (5, 12, 0), (-7, 8, 32767)]
    data = struct.pack("<9h", *[value for sample in samples for value in sample])

    async def work(runtime: FunctionRuntime) -> bytes:
        made = await loaded(runtime, EXAMPLE.read_bytes())
        assert "it returned -1" in await failure(runtime, made)
        return await runtime.run(made, data, Host())

    expected = [int((sum(each[axis] ** 2 for each in samples) // 3) ** 0.5) for axis in range(3)]
    assert list(struct.unpack("<3i", using(work))) == expected


GROW = module("(if (i32.eq (memory.grow (i32.const 16384)) (i32.const -1)) (then (unreachable))) (i64.const 0)")
MISBEHAVING = {
    "loops": (LOOP, Bounds(1 << 40, 50), "its limit on time"),
    "burns fuel": (LOOP, Bounds(100_000), "used up its fuel"),
    "recurses": (module("(call $handle (i32.const 0) (i32.const 0))"), GENEROUS, "its stack overflowed"),
    "grows to 1 GiB": (GROW, GENEROUS, "ended with `unreachable`"),
    "begins with 1 GiB": (module("(i64.const 0)", pages=16385), GENEROUS, "memory"),
    "reads elsewhere": (module("(i64.load (i32.const 0x7fffffff))"), GENEROUS, "accessed memory that it does not have"),
    "returns elsewhere": (module("(i64.const 0x7fffffff00000010)"), GENEROUS, "outside of its memory"),
    "returns too much": (module("(i64.const 0x00000000ffffffff)"), GENEROUS, "outside of its memory"),
    "returns a failure": (module("(i64.const -5)"), GENEROUS, "it returned -5"),
}


def test_a_module_that_misbehaves_fails_and_the_next_call_runs() -> None:
    async def work(runtime: FunctionRuntime) -> dict[str, str]:
        good, found = await loaded(runtime, ECHO), {}
        for name, (source, bounds, _) in MISBEHAVING.items():
            found[name] = await failure(runtime, await loaded(runtime, source, bounds))
            assert await runtime.run(good, b"next", Host()) == b"next"
        return found

    found = using(work)
    assert {name: found[name] for name, (_, _, why) in MISBEHAVING.items() if why not in found[name]} == {}


FOREIGN = '(import "wasi_snapshot_preview1" "fd_write" (func (param i32)))'
REFUSED = [
    (module("(i64.const 0)", imports=FOREIGN), (), "ImportRefused: it imports wasi_snapshot_preview1.fd_write"),
    (
        module("(i64.const 0)", imports=APPEND),
        ("read",),
        "ImportRefused: it imports tinyfleet.append, which its",
    ),
    (
        module("(i64.const 0)", imports=APPEND.replace("i64", "i32")),
        ("append",),
        "ImportRefused: the import tinyfleet.append must have the type (i32, i32, i32) -> i64",
    ),
    (b"(module)", (), "WasmInvalid: it exports no `memory`"),
    (b'(module (memory (export "memory") 1))', (), "WasmInvalid: it exports no function `input`"),
    (b"(module", (), "WasmInvalid: expected"),
    (b"\xff\xfe", (), "WasmInvalid: 'utf-8'"),
]


def test_a_module_is_refused_before_it_runs() -> None:
    async def work(runtime: FunctionRuntime) -> list[str]:
        found = []
        for source, allowed, _ in REFUSED:
            with pytest.raises(CompileRefused) as caught:
                await loaded(runtime, source, allowed=allowed)
            found.append(f"{caught.value.reason}: {caught.value}")
        assert runtime.starts == 1
        return found

    for said, (_, _, expected) in zip(using(work), REFUSED, strict=True):
        assert said.startswith(expected)


def test_nothing_of_a_call_remains_for_the_next() -> None:
    counts = module(
        "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i64.const 4)"
    )  # the result is the counter at address 0

    async def work(runtime: FunctionRuntime) -> list[bytes]:
        made = await loaded(runtime, counts)
        return [await runtime.run(made, b"", Host()) for _ in range(3)]

    assert using(work) == [b"\1\0\0\0"] * 3


def test_a_function_stores_and_reads_items() -> None:
    body = f"""(drop (call $append (i32.const 0) (local.get $address) (local.get $length)))
      (if (i64.ne (call $append (i32.const 7) (i32.const 0) (i32.const 0)) (i64.const -8)) (then (unreachable)))
      (if (i32.ne (call $read (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 8)) (i32.const -11))
        (then (unreachable)))
      (if (i32.ne (call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2)) (i32.const -9))
        (then (unreachable)))
      (local.set $length (call $read (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 64)))
      (local.set $address (i32.const 0)) {RESULT}"""

    async def work(runtime: FunctionRuntime) -> None:
        made, host = await loaded(runtime, module(body, imports=APPEND + READ), allowed=("append", "read")), Host()
        host.items.append(b"first")
        assert await runtime.run(made, b"second", host) == b"first"
        assert host.items == [b"first", b"second"]

    using(work)


def calling(place: int = 0) -> bytes:
    return module(
        f"""(local.set $length (call $call (i32.const {place}) (local.get $address) (local.get $length)
              (i32.const 2048) (i32.const 64))) (local.set $address (i32.const 2048)) {RESULT}""",
        imports=CALL,
    )


def test_a_function_calls_another_one_while_it_waits() -> None:
    async def work(runtime: FunctionRuntime) -> None:
        outer, inner = await loaded(runtime, calling(), allowed=("call",)), await loaded(runtime, ECHO)

        async def call(data: bytes) -> bytes:
            return await runtime.run(inner, data + b"!", Host(), inside=True)

        first, second = await asyncio.gather(*(runtime.run(outer, each, Host(call)) for each in (b"one", b"two")))
        assert (first, second) == (b"one!", b"two!")
        assert runtime.starts == 1

    using(work)


def test_a_killed_process_costs_only_the_call_that_ran() -> None:
    """The process is killed while one call runs and two wait."""

    async def work(runtime: FunctionRuntime) -> None:
        victim, echo = await loaded(runtime, calling(), allowed=("call",)), await loaded(runtime, ECHO)
        waiting: list[asyncio.Task[bytes]] = []

        async def crash(_: bytes) -> bytes:
            waiting.extend(asyncio.create_task(runtime.run(echo, each, Host())) for each in (b"a", b"b"))
            await asyncio.sleep(0)
            assert runtime._process is not None
            os.killpg(runtime._process.pid, signal.SIGSEGV)
            return b""

        with pytest.raises(OperationFailed, match="it ended the process"):
            await runtime.run(victim, b"x", Host(crash))
        assert await asyncio.gather(*waiting) == [b"a", b"b"]
        assert runtime.starts == 2

    using(work)


def test_a_call_that_hangs_outside_of_wasm_is_ended() -> None:
    async def work(runtime: FunctionRuntime) -> None:
        made, echo = (
            await loaded(runtime, calling(), Bounds(time_ms=50), allowed=("call",)),
            await loaded(runtime, ECHO),
        )
        assert runtime._process is not None
        first = runtime._process.pid

        async def stop(_: bytes) -> bytes:
            os.killpg(first, signal.SIGSTOP)
            return b""

        with pytest.raises(OperationFailed, match="did not return within its limit on time"):
            await runtime.run(made, b"x", Host(stop))
        assert await runtime.run(echo, b"next", Host()) == b"next"

    using(work)


def test_the_process_has_no_network_and_little_memory() -> None:
    async def work(runtime: FunctionRuntime) -> tuple[str, str]:
        await loaded(runtime, ECHO)
        assert runtime._process is not None
        base = f"/proc/{runtime._process.pid}"
        with open(f"{base}/limits", encoding="ascii") as limits, open(f"{base}/net/dev", encoding="ascii") as devices:  # noqa: ASYNC230, PTH123
            return limits.read(), devices.read()

    limits, devices = using(work)
    space = next(line for line in limits.splitlines() if line.startswith("Max address space"))
    assert space.split()[3] == str(MEMORY_BYTES)
    assert [line.split(":")[0].strip() for line in devices.splitlines()[2:]] == ["lo"]
