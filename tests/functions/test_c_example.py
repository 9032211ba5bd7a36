# SPDX-License-Identifier: Apache-2.0
"""The example of a function in C: built as its first lines say, loaded, and called."""

from __future__ import annotations

import asyncio
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from reconciler.functions.runtime import FunctionRuntime, LoadedFunction
from tests.functions.modules import EXAMPLE, MEMORY_BYTES, Host

SOURCE = EXAMPLE.with_name("peaks.c")
needs_lld = pytest.mark.skipif(shutil.which("wasm-ld") is None, reason="the package lld is not installed")


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("peaks")
    shutil.copy(SOURCE, folder)
    found = re.search(r"^// +(clang .*)$", SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    command = [*found[1].split(), "-Wall", "-Wextra", "-Werror"]
    assert command[0] == "clang"
    subprocess.run(["clang", *command[1:]], cwd=folder, check=True)
    return (folder / "peaks.wasm").read_bytes()


def run(module: bytes, window: bytes) -> tuple[tuple[int, ...], list[bytes]]:
    async def test() -> tuple[tuple[int, ...], list[bytes]]:
        runtime, host = FunctionRuntime(MEMORY_BYTES), Host()
        function = LoadedFunction("peaks", "peaks", "handle", 1 << 20, 20_000_000, 5000)
        await runtime.load(function, module, text=False, allowed=["append"])
        try:
            return struct.unpack("<3i", await runtime.run(function, window, host)), host.items
        finally:
            await runtime.close()

    return asyncio.run(test())


@needs_lld
def test_differences_are_computed_and_a_quiet_window_is_not_kept(module: bytes) -> None:
    assert run(module, struct.pack("<6h", 1, 2, 3, 4, -5, 9)) == ((3, 7, 6), [])


@needs_lld
def test_a_window_with_a_large_peak_is_kept_and_memory_grows(module: bytes) -> None:
    window = struct.pack("<6h", 30000, 2, 3, -30000, -5, 9) + bytes(6 * 40_000)
    assert run(module, window) == ((60000, 7, 9), [window])


def test_the_page_has_the_command_of_the_source() -> None:
    page = (Path(__file__).parents[2] / "docs" / "functions.md").read_text(encoding="utf-8")
    command = re.search(r"^// +(clang .*)$", SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert command
    assert f"\n{command[1]}\n" in page
