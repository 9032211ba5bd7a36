# SPDX-License-Identifier: Apache-2.0
"""The firmware's files form layers: no circle over includes, none over symbols, and folders only use lower ones."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.firmware.conftest import FIRMWARE, build

INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
ROOTS = ("src", "include", "ports", "runner", "powercut", "attack", "fuzz", "network/mqtt", "tests")
# Each folder of src/ uses those before it. The engines use none of them: they only see include/.
FOLDERS = (
    "codec",
    "crypto",
    "store",
    "envelope",
    "payload",
    "model",
    "report",
    "samples",
    "learning",
    "session",
    "stage",
    "operations",
    "update",
    "",
)
NM = {
    "host": "nm",
    "mps2-an386": "arm-none-eabi-gcc-nm",
    "riscv32-virt": "riscv64-unknown-elf-gcc-nm",
    "nrf51-microbit": "arm-none-eabi-gcc-nm",
    "nrf52840": "arm-none-eabi-gcc-nm",
    "stm32l4": "arm-none-eabi-gcc-nm",
}


def files() -> list[Path]:
    return sorted(path for root in ROOTS for path in (FIRMWARE / root).rglob("*.[ch]"))


def unit_of(path: Path) -> str:
    """A C file and its header are one unit. A public header belongs to the file of the core that has its name."""
    stem = path.relative_to(FIRMWARE).with_suffix("")
    if stem.parts[0] == "include":
        same = list((FIRMWARE / "src").rglob(f"{stem.name}.c"))
        stem = same[0].relative_to(FIRMWARE).with_suffix("") if len(same) == 1 else stem
    return stem.as_posix()


def included(path: Path, known: Iterable[Path]) -> Iterator[Path]:
    """Each header that an include may mean: the one next to the file, or all of that name elsewhere."""
    for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
        sibling = path.parent / name
        found = [header for header in known if header.as_posix().endswith(f"/{name}")]
        assert found, f"{path}: {name} is not in the firmware"
        yield from [sibling] if sibling in found else found


def include_graph() -> dict[str, set[str]]:
    known = files()
    graph: dict[str, set[str]] = {}
    for path in known:
        unit = unit_of(path)
        graph.setdefault(unit, set()).update(unit_of(header) for header in included(path, known))
        graph[unit].discard(unit)
    return graph


def symbols(nm: str, which: str, objects: list[Path]) -> dict[str, set[Path]]:
    """Which objects define or need a symbol."""
    command = [nm, "--print-file-name", "--extern-only", which, *map(str, objects)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found: dict[str, set[Path]] = {}
    for line in lines:
        file, _, rest = line.partition(":")
        found.setdefault(rest.split()[-1], set()).add(Path(file))
    return found


def symbol_graph(preset: str) -> dict[str, set[str]]:
    """Which file uses functions or data of which other file, in everything that this preset links."""
    parts = build(preset) / "CMakeFiles"
    name: dict[Path, str] = {}
    for path in sorted([*parts.rglob("*.c.o"), *parts.rglob("*.c.obj")]):
        target, *source = path.relative_to(parts).with_suffix("").parts
        # objects of sources that were renamed since stay in the build
        if not target.startswith("core-check") and FIRMWARE.joinpath(*source).is_file():
            name[path] = Path(*source).with_suffix("").as_posix()
    graph: dict[str, set[str]] = {}
    defined = symbols(NM[preset], "--defined-only", list(name))
    for symbol, users in symbols(NM[preset], "--undefined-only", list(name)).items():
        owners = {name[owner] for owner in defined.get(symbol, ())}
        for user in users:
            graph.setdefault(name[user], set()).update(owners - {name[user]})
    return graph


def find_circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the files of one circle, or nothing."""
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            if circle := visit(following, [*path, node]):
                return circle
        done.add(node)
        return []

    return next((circle for node in sorted(graph) if (circle := visit(node, []))), [])


def test_includes_have_no_circle() -> None:
    graph = include_graph()
    assert len(graph) > 100
    assert find_circle(graph) == []


@pytest.mark.parametrize("preset", NM)
def test_calls_have_no_circle(preset: str) -> None:
    graph = symbol_graph(preset)
    assert "src/update/phase" in graph["src/update/transfer"]
    assert find_circle(graph) == []


def test_a_circle_would_be_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": set[str](), "d": {"b"}}
    assert find_circle(graph) == ["b", "d"]


def test_folders_of_the_core_only_use_lower_ones() -> None:
    source = FIRMWARE / "src"
    level = {folder: number for number, folder in enumerate(FOLDERS)}
    core = [path for path in source.rglob("*.[ch]") if source / "engine" not in path.parents]
    assert {path.relative_to(source).parent.as_posix().replace(".", "") for path in core} == set(FOLDERS)
    for path in core:
        folder = path.relative_to(source).parent.as_posix().replace(".", "")
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            used = name.rpartition("/")[0]
            assert used == "tinyfleet" or level[used] <= level[folder], f"{path.name} in {folder} includes {name}"


OF_THE_PROCESSOR = {"requantize.h", "widen.h", "simd.h"}  # one for each kind, chosen by the include path


def test_engines_only_use_public_headers() -> None:
    for path in (FIRMWARE / "src" / "engine").rglob("*.[ch]"):
        names = INCLUDE.findall(path.read_text(encoding="utf-8"))
        assert all(name.startswith(("tinyfleet/", "engine/")) or name in OF_THE_PROCESSOR for name in names), path
