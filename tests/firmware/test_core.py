# SPDX-License-Identifier: Apache-2.0
"""What the core may depend on: no allocator, and no C library beyond five functions on memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from firmware.library import example
from firmware.network import build as network
from firmware.tools.size_report import TARGETS
from firmware.tools.stack_graph import CallGraph, PointerTable, StackUnknownError
from tests.firmware.conftest import build

ALLOWED = {"memcpy", "memmove", "memset", "memcmp", "strlen"}
COMPILERS_OWN = {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}


def symbols(objects: list[Path], which: str) -> set[str]:
    lines = subprocess.run(["nm", which, *objects], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if line.split() and not line.endswith(":")}


def test_core_has_no_heap_and_needs_no_library() -> None:
    objects = [*(build("host") / "CMakeFiles" / "core.dir").rglob("*.o")]
    assert len(objects) > 20
    needed = symbols(objects, "--undefined-only") - symbols(objects, "--defined-only")
    assert {name for name in needed if not name.startswith("crypto_")} <= ALLOWED | COMPILERS_OWN


@pytest.mark.parametrize("call", ["hal->flash_read(", "jobs["])
def test_stack_report_refuses_to_guess(call: str, tmp_path: Path) -> None:
    """An unknown call through a pointer is an error, not a zero."""
    source = tmp_path / "some.c"
    source.write_text(f"    return {call}context);\n")
    graph = tmp_path / "some.ci"
    graph.write_text(
        'node: { title: "some" label: "some\\n' + str(source) + ':1:5\\n8 bytes (static)" }\n'
        'node: { title: "other" label: "other\\n' + str(source) + ':9:5\\n100 bytes (static)" }\n'
        'edge: { sourcename: "some" targetname: "__indirect_call" label: "' + str(source) + ':1:12" }\n'
    )
    with pytest.raises(StackUnknownError, match="through a pointer"):
        CallGraph.read([graph], PointerTable({}, {}))
    known = CallGraph.read([graph], PointerTable({call: ["some.c:other"]}, {}))
    assert known.deepest("some")[0] == 108


def test_stack_report_refuses_recursion(tmp_path: Path) -> None:
    graph = tmp_path / "some.ci"
    graph.write_text(
        'node: { title: "a" label: "a\\na.c:1:1\\n8 bytes (static)" }\n'
        'node: { title: "b" label: "b\\na.c:2:1\\n8 bytes (static)" }\n'
        'edge: { sourcename: "a" targetname: "b" label: "a.c:1:1" }\n'
        'edge: { sourcename: "b" targetname: "a" label: "a.c:2:1" }\n'
    )
    with pytest.raises(StackUnknownError, match="recursion"):
        CallGraph.read([graph], PointerTable({}, {})).deepest("a")


@pytest.mark.emulator
def test_sizes_keep_to_their_budgets() -> None:
    """The tests check the same budgets as `make firmware`."""
    for target in TARGETS:
        build(target.preset)
    network.build()
    example.build()
    subprocess.run([sys.executable, "-m", "firmware.tools.size_report"], check=True)
