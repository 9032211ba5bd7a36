# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.functions.confined`: the example in a process that gets no memory to both write and execute.

The kernel holds this process, and those that it starts, to what `MemoryDenyWriteExecute=yes` of the unit demands. It
prints what became of the example, of such memory, and of a module that is compiled to machine code.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import mmap
import struct
import sys

import wasmtime

from reconciler.functions.runtime import FunctionRuntime
from tests.functions.modules import EXAMPLE, MEMORY_BYTES, Host, loaded

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def deny_write_execute() -> bool:
    """Give up such memory for good; False: the kernel is older than 6.3."""
    return int(ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)) == 0


def mapped() -> bool:
    try:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    except PermissionError:
        return False
    return True


def compiled_to_machine_code() -> bool:
    try:
        wasmtime.Module(wasmtime.Engine(), '(module (func (export "f")))')
    except wasmtime.WasmtimeError:
        return False
    return True


async def example() -> tuple[int, ...]:
    runtime = FunctionRuntime(MEMORY_BYTES)
    try:
        made = await loaded(runtime, EXAMPLE.read_bytes())
        return struct.unpack("<3i", await runtime.run(made, struct.pack("<6h", 3, -4, 0, 3, 4, 7), Host()))
    finally:
        await runtime.close()


def main() -> None:
    before = mapped(), compiled_to_machine_code()
    denied = deny_write_execute()
    after = mapped(), compiled_to_machine_code()
    json.dump({"denied": denied, "before": before, "after": after, "example": asyncio.run(example())}, sys.stdout)


if __name__ == "__main__":
    main()
