# SPDX-License-Identifier: Apache-2.0
"""The files of the source library: agent and engines from this tree, the pinned curve arithmetic, and glue for SDKs.

One folder serves every build system: each finds the files that it looks for (`CMakeLists.txt` and `idf_component.yml`,
`zephyr/module.yml`, `library.json`, `library.properties`, `tinyfleet.pdsc`) and ignores the others.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

FIRMWARE: Final = Path(__file__).resolve().parent.parent
OWN: Final = Path(__file__).resolve().parent / "files"
ROOT: Final = FIRMWARE.parent
#: Code of the ports that the library builds on, and the drivers of the boards in its example.
SHARED: Final = ("serial_answer.c", "serial_answer.h", "input_window.c", "input_window.h")
BOARDS: Final = ("mps2-an386", "riscv32-virt")
BOARD_CODE: Final = (
    *("board.h", "fault.c", "fault.h", "memory.c", "receive_ring.h", "sections.ld", "start.c", "start.h"),
    *("libc/stdlib.h", "libc/string.h"),
)
TOOLCHAINS: Final = ("toolchain-arm.cmake", "toolchain-riscv32.cmake")
#: Build systems that compile every file below `src`: the compiler chooses between implementations.
CHOSEN_BY: Final = {
    "engine/dsp/mac.c": "defined(__ARM_FEATURE_DSP)",
    "engine/dsp/wide.c": "defined(__ARM_FEATURE_DSP)",
    "engine/portable/mac.c": "!defined(__ARM_FEATURE_DSP)",
    "engine/portable/wide.c": "!defined(__ARM_FEATURE_DSP)",
    "crypto/curve_small.c": "defined(TINYFLEET_SMALL_CURVE)",
    "crypto/curve_monocypher.c": "!defined(TINYFLEET_SMALL_CURVE)",
}
CHOSEN_HEADERS: Final = ("requantize.h", "widen.h")
_HEAD: Final = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def version() -> str:
    """Return the version of the project, which is that of the library."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def contents(third_party: Path) -> dict[str, bytes]:
    """Return path → bytes of every file of the library, without its top folder. ``third_party``: what was fetched."""
    files = {"LICENSE": (ROOT / "LICENSE").read_bytes()}
    files |= {f"src/{path}": data for path, data in _agent()}
    files |= {f"src/{name}": (FIRMWARE / "ports" / "shared" / name).read_bytes() for name in SHARED}
    files |= {f"src/engine/{name}": _chosen_header(name) for name in CHOSEN_HEADERS}
    for name in ("monocypher.c", "monocypher.h"):
        files[f"src/{name}"] = (third_party / "monocypher" / name).read_bytes()
    files["LICENSE.monocypher"] = (third_party / "monocypher" / "LICENSE.txt").read_bytes()
    files |= {f"examples/bare-metal/board/{path}": data for path, data in _boards()}
    for path in sorted(OWN.rglob("*")):
        if path.is_file():
            files[str(path.relative_to(OWN))] = path.read_bytes().replace(b"@VERSION@", version().encode())
    # build systems with private folders show only these to other code; Arduino has one folder
    public = [name for name in files if name.startswith("src/tinyfleet/") or name == "src/tinyfleet.h"]
    files |= {name.replace("src/", "include/", 1): files[name] for name in public}
    files["tinyfleet.pdsc"] = files["tinyfleet.pdsc"].replace(b"@PDSC_SOURCES@", _pdsc_sources(files))
    return dict(sorted(files.items()))


def _pdsc_sources(files: Iterable[str]) -> bytes:
    """A CMSIS-Pack lists each of its sources."""
    sources = sorted(name for name in files if name.startswith("src/") and name.endswith(".c"))
    return "\n".join(f'        <file category="sourceC" name="{name}"/>' for name in sources).encode()


def _agent() -> Iterator[tuple[str, bytes]]:
    for folder in ("include", "src"):
        for path in sorted((FIRMWARE / folder).rglob("*.[ch]")):
            inside = str(path.relative_to(FIRMWARE / folder))
            yield inside, _conditional(CHOSEN_BY.get(inside), path.read_bytes())


def _conditional(condition: str | None, source: bytes) -> bytes:
    """Compile a file only under a condition; the lines keep their numbers."""
    if condition is None:
        return source
    return f"#if {condition}\n#line 1\n".encode() + source + b"#endif\n"


def _chosen_header(name: str) -> bytes:
    choice = f'#ifdef __ARM_FEATURE_DSP\n#include "dsp/{name}"\n#else\n#include "portable/{name}"\n#endif\n'
    return (_HEAD + choice).encode()


def _boards() -> Iterator[tuple[str, bytes]]:
    ports = FIRMWARE / "ports"
    for name in BOARD_CODE:
        yield name, (ports / "bare" / name).read_bytes()
    for board in ("cortex-m", *BOARDS):
        for path in sorted((ports / board).iterdir()):
            yield f"{board}/{path.name}", path.read_bytes()
    for name in TOOLCHAINS:
        yield name, (FIRMWARE / "cmake" / name).read_bytes()
