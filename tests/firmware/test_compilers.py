# SPDX-License-Identifier: Apache-2.0
"""Two compilers give no warning about the core, the engines and the host port, with all warnings on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from firmware.powercut.driver import FIRMWARE, WARNINGS
from tests.firmware.conftest import build

ENGINE = FIRMWARE / "src" / "engine"
HEADERS = [
    *(FIRMWARE / part for part in ("include", "src", "ports/host", "ports/shared", "powercut", "attack", "fuzz")),
    FIRMWARE / "network" / "mqtt",
    ENGINE / "portable",
]
SOURCES = sorted(
    path
    for folder in ("src", "ports/host", "ports/shared", "powercut", "attack", "fuzz", "network/mqtt", "tests")
    for path in (FIRMWARE / folder).rglob("*.c")
    if path.parent.name not in {"dsp", "vdev"}  # for another core; with the system's headers
)


@pytest.fixture(scope="module", autouse=True)
def _third_party() -> None:
    build("host")


def compile_strictly(compiler: str, source: Path) -> subprocess.CompletedProcess[str]:
    others = FIRMWARE / "build" / "third_party" / "monocypher"
    command = [compiler, "-std=c11", "-O2", *WARNINGS, *(f"-I{folder}" for folder in HEADERS)]
    return subprocess.run(
        [*command, "-isystem", others, "-c", "-o", "/dev/null", "-x", "c", source],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_warnings(compiler: str, source: Path) -> None:
    done = compile_strictly(compiler, source)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_a_warning_would_be_seen(compiler: str, tmp_path: Path) -> None:
    source = tmp_path / "narrow.c"
    source.write_text("unsigned char narrow(int x);\nunsigned char narrow(int x)\n{\n    return x;\n}\n")
    done = compile_strictly(compiler, source)
    assert done.returncode != 0
    assert "conversion" in done.stderr
