# SPDX-License-Identifier: Apache-2.0
"""Unpacks the library as its users do, and builds what they build from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from firmware.library.archives import write
from firmware.tools.fetch_third_party import fetch
from tests.firmware.bench import Bench

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"
CONTRACTS = FIRMWARE / "library" / "contracts"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a tool of the build; its messages are the reason when it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    third_party = FIRMWARE / "build" / "third_party"
    fetch(third_party)
    return write(tmp_path_factory.mktemp("library"), third_party)


@pytest.fixture(scope="session")
def unpacked(archives: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library where nothing else of the repository is."""
    folder = tmp_path_factory.mktemp("unpacked")
    run("tar", "-xzf", archives[0], cwd=folder)
    (top,) = folder.iterdir()
    return top


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench("plant")
