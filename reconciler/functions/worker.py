# SPDX-License-Identifier: Apache-2.0
"""The process of functions: `python -m reconciler.functions.worker LIMITS`. It runs one call at a time.

It limits itself before it reads anything. Each call has a fresh instance. While a function waits for what it asked of
the gateway, a call of another function may arrive: it runs inside, and ends first.

Modules are compiled to Pulley, the runtime's own bytecode, so no memory is ever both written and executed: the
daemon's unit forbids that (MemoryDenyWriteExecute).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from reconciler.compiler.pool.messages import receive, send
from reconciler.compiler.worker import set_limits

TICK_S = 0.005  # how exactly a limit on time is kept
STACK_BYTES = 256 << 10
TABLE_ELEMENTS = 10_000


class FunctionWorker:
    """Answers one message after another."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        # Imported after the limits are set.
        import wasmtime  # noqa: PLC0415

        from reconciler.functions import module_rules  # noqa: PLC0415

        self._wasmtime, self._rules = wasmtime, module_rules
        self._requests, self._answers = requests, answers
        self._engine = wasmtime.Engine(_config(wasmtime.Config()))
        self._modules: dict[str, Any] = {}
        self._linker = wasmtime.Linker(self._engine)
        for name, signature in module_rules.IMPORTS.items():
            kind, ask = module_rules.func_type(signature), getattr(self, f"_{name}")
            self._linker.define_func(module_rules.MODULE, name, kind, ask, access_caller=True)
        self._ticker = _Ticker(self._engine.increment_epoch)

    def serve(self) -> None:
        """Answer until the gateway ends."""
        while (message := receive(self._requests)) is not None:
            self._handle(*message)

    def _handle(self, header: Mapping[str, Any], blobs: list[bytes]) -> None:
        actions: dict[str, Callable[[Mapping[str, Any], bytes], bytes]] = {
            "load": self._load,
            "restore": self._restore,
            "run": self._run,
        }
        try:
            made = actions[header["op"]](header, blobs[0])
        except self._rules.ModuleRejected as rejected:
            self._end({"rejected": rejected.rejection.value, "why": str(rejected)})
        except Exception as error:  # noqa: BLE001 - whatever a module does is its own failure
            fuel = isinstance(error, self._wasmtime.Trap) and error.trap_code == self._wasmtime.TrapCode.OUT_OF_FUEL
            self._end({"failed": _explained(self._wasmtime, error), "out_of_fuel": fuel})
        else:
            self._end({}, made)

    def _end(self, header: Mapping[str, Any], *blobs: bytes) -> None:
        send(self._answers, {"end": True, "cpu_s": time.process_time(), **header}, *blobs)

    def _load(self, header: Mapping[str, Any], source: bytes) -> bytes:
        """Compile and check a module; return what `restore` takes."""
        rejected, invalid = self._rules.ModuleRejected, self._rules.Rejection.WASM_INVALID
        try:
            text = header["text"]
            code = bytes(self._wasmtime.wat2wasm(source.decode("utf-8"))) if text else source
            module = self._wasmtime.Module(self._engine, code)
        except (self._wasmtime.WasmtimeError, UnicodeDecodeError) as error:
            raise rejected(invalid, str(error).strip().splitlines()[0]) from error
        self._rules.check(module, header["entry"], header["allowed"])
        self._modules[header["module"]] = module
        return bytes(module.serialize())

    def _restore(self, header: Mapping[str, Any], compiled: bytes) -> bytes:
        self._modules[header["module"]] = self._wasmtime.Module.deserialize(self._engine, compiled)
        return b""

    def _run(self, header: Mapping[str, Any], data: bytes) -> bytes:
        store = self._wasmtime.Store(self._engine)
        store.set_limits(
            memory_size=header["memory_bytes"], table_elements=TABLE_ELEMENTS, instances=1, tables=4, memories=1
        )
        store.set_fuel(header["fuel"])
        with self._ticker:
            store.set_epoch_deadline(max(1, round(header["time_ms"] / 1000 / TICK_S)))
            try:
                return self._run_in(store, header, data)
            finally:
                store.close()  # frees the memory of the instance now

    def _run_in(self, store: Any, header: Mapping[str, Any], data: bytes) -> bytes:  # noqa: ANN401 - imported late
        exports: Any = self._linker.instantiate(store, self._modules[header["module"]]).exports(store)
        memory = exports["memory"]
        address = exports["input"](store, len(data)) & 0xFFFFFFFF
        _check_range(memory.data_len(store), address, len(data), "`input` returned")
        memory.write(store, data, address)
        result = exports[header["entry"]](store, address, len(data))
        if result < 0:
            raise ValueError(f"it returned {result}")
        address, length = result >> 32, result & 0xFFFFFFFF
        _check_range(memory.data_len(store), address, length, "its result is at")
        return bytes(memory.read(store, address, address + length))

    # ------------------------------------------------------------ what a function may import

    def _append(self, caller: Any, bucket: int, address: int, length: int) -> int:  # noqa: ANN401 - imported late
        data = _read(caller, address, length)
        return int(self._ask({"ask": "append", "place": bucket}, data)[0])

    def _read(self, caller: Any, bucket: int, back: int, address: int, capacity: int) -> int:  # noqa: ANN401 - the ABI
        code, data = self._ask({"ask": "read", "place": bucket, "back": back}, b"")
        return _write(caller, code, data, address, capacity)

    def _call(  # noqa: PLR0913, PLR0917 - the ABI
        self,
        caller: Any,  # noqa: ANN401 - imported late
        operation: int,
        address: int,
        length: int,
        result: int,
        capacity: int,
    ) -> int:
        code, data = self._ask({"ask": "call", "place": operation}, _read(caller, address, length))
        return _write(caller, code, data, result, capacity)

    def _ask(self, question: Mapping[str, Any], data: bytes) -> tuple[int, bytes]:
        """Ask the gateway, and run what it wants to have run until it answers."""
        send(self._answers, question, data)
        while (message := receive(self._requests)) is not None:
            header, blobs = message
            if "result" in header:
                return header["result"], blobs[0]
            self._handle(header, blobs)
        os._exit(0)  # the gateway has ended


class _Ticker:
    """Advances the runtime's clock while a call runs."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._depth = 0
        self._running = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def __enter__(self) -> None:
        self._depth += 1
        self._running.set()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._running.clear()

    def _work(self) -> None:
        while self._running.wait():
            began, ticks = time.monotonic(), 0
            while self._running.is_set():
                time.sleep(TICK_S)  # one tick of the clock that ends calls
                passed = int((time.monotonic() - began) / TICK_S)
                for _ in range(passed - ticks):
                    self._tick()
                ticks = passed


def _config(config: Any) -> Any:  # noqa: ANN401 - imported late
    config.target = "pulley64"
    config.consume_fuel = True
    config.epoch_interruption = True
    config.signals_based_traps = False  # and with it no reserved gigabytes of address space, which the cage limits
    config.memory_reservation = 0
    config.memory_guard_size = 0
    config.memory_reservation_for_growth = 0
    config.memory_init_cow = False
    config.parallel_compilation = False
    config.max_wasm_stack = STACK_BYTES
    config.wasm_threads = False
    config.wasm_memory64 = False
    return config


def _read(caller: Any, address: int, length: int) -> bytes:  # noqa: ANN401 - imported late
    memory = caller["memory"]
    start, count = address & 0xFFFFFFFF, length & 0xFFFFFFFF
    _check_range(memory.data_len(caller), start, count, "it passed")
    return bytes(memory.read(caller, start, start + count))


def _write(caller: Any, code: int, data: bytes, address: int, capacity: int) -> int:  # noqa: ANN401 - imported late
    """Hand data over; a code below 0 is a failure, and so is too small a buffer."""
    if code < 0:
        return code
    if len(data) > capacity & 0xFFFFFFFF:
        return -9
    memory, start = caller["memory"], address & 0xFFFFFFFF
    _check_range(memory.data_len(caller), start, len(data), "it passed")
    memory.write(caller, data, start)
    return len(data)


def _check_range(size: int, address: int, length: int, what: str) -> None:
    if address + length > size:
        raise ValueError(f"{what} {length} bytes at {address}, outside of its memory of {size} bytes")


def _explained(wasmtime: Any, error: Exception) -> str:  # noqa: ANN401 - imported late
    if isinstance(error, wasmtime.Trap):
        code = error.trap_code
        known = {
            wasmtime.TrapCode.INTERRUPT: "it ran longer than its limit on time",
            wasmtime.TrapCode.OUT_OF_FUEL: "it used up its fuel",
            wasmtime.TrapCode.STACK_OVERFLOW: "its stack overflowed",
            wasmtime.TrapCode.UNREACHABLE: "it ended with `unreachable`",
            wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "it accessed memory that it does not have",
        }
        return known.get(code, str(code))
    if isinstance(error, wasmtime.WasmtimeError):
        return str(error).strip().splitlines()[-1].strip()[:200]
    return str(error)[:200] if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"[:200]


def main() -> None:
    """Limit this process, then serve."""
    limits = json.loads(sys.argv[1])
    set_limits(limits["memory_bytes"], limits["cpu_s"], limits["file_bytes"])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    FunctionWorker(sys.stdin.buffer, answers).serve()


if __name__ == "__main__":
    main()
    os._exit(0)  # does not wait for the ticker
