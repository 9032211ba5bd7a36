# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware once per session, and provides a root, a gateway and new devices to every test."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.firmware.bench import Bench, Made
from tests.firmware.board import MACHINES, Board, Machine, write_flash_file
from tests.firmware.host import Geometry, HostAgent, HostLibrary
from tests.firmware.orders import NEW, OLD, PREBAKED, SECOND_PREBAKED, SMALL, deliver, install

FIRMWARE = Path(__file__).resolve().parents[2] / "firmware"


def build(preset: str, *targets: str) -> Path:
    """Build one preset and return its folder; workers and sessions take turns. Without targets: the default ones.

    TINYFLEET_FIRMWARE_BUILT names a folder in which everything is built already (firmware/mutate).
    """
    if built := os.environ.get("TINYFLEET_FIRMWARE_BUILT"):
        return Path(built)
    folder = FIRMWARE / "build"
    folder.mkdir(exist_ok=True)
    with (folder / f".{preset}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (
            ["cmake", "--preset", preset, f"-DPython3_EXECUTABLE={sys.executable}"],
            ["cmake", "--build", "--preset", preset, *(["--target", *targets] if targets else [])],
        ):
            done = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.fail(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}", pytrace=False)
    return folder / preset


def preset() -> str:
    """Return which build for Linux to test: `make firmware-asan` asks for the sanitized one."""
    return os.environ.get("TINYFLEET_HOST_PRESET", "host")


@pytest.fixture(scope="session")
def host_library() -> HostLibrary:
    return HostLibrary(build(preset()) / "libtinyfleet-host.so")


@pytest.fixture(scope="session")
def vdev_program() -> Path:
    return build(preset()) / "tinyfleet-vdev"


@pytest.fixture(
    scope="session", params=[machine for machine in MACHINES if not machine.is_slow], ids=lambda machine: machine.name
)
def machine(request: pytest.FixtureRequest) -> Machine:
    assert isinstance(request.param, Machine)
    return request.param


@cache
def _board_elf(name: str) -> Path:
    return build(name) / "tinyfleet.elf"


@pytest.fixture
def board_elf(machine: Machine) -> Path:
    """Not of the session: pytest would keep it when a module with other machines follows."""
    return _board_elf(machine.name)


@pytest.fixture(scope="session")
def bench() -> Bench:
    """The bench that makes devices, and their gateway."""
    return Bench("plant")


@pytest.fixture
def make_board(machine: Machine, board_elf: Path, tmp_path: Path) -> Iterator[Callable[[bytes], Board]]:
    """Make boards with a given provisioned region, and switch them off when the test ends."""
    boards: list[Board] = []

    def make(region: bytes) -> Board:
        flash = tmp_path / f"flash{len(boards)}.bin"
        write_flash_file(machine, flash, {0: region})
        board = Board(machine, board_elf, flash)
        boards.append(board)
        board.start()
        return board

    yield make
    for board in boards:
        board.kill()
        board.flash.unlink()


@pytest.fixture
def make_agent(host_library: HostLibrary) -> Iterator[Callable[[bytes], HostAgent]]:
    """Make agents in this process with a given provisioned region."""
    agents: list[HostAgent] = []

    def make(region: bytes) -> HostAgent:
        agents.append(HostAgent(host_library, region))
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1")


@pytest.fixture
def make_core(host_library: HostLibrary) -> Iterator[Callable[..., HostAgent]]:
    """Make agents on flash of any geometry, and check at the end that the core kept the rules of flash."""
    agents: list[HostAgent] = []

    def make(region: bytes, geometry: Geometry = SMALL) -> HostAgent:
        agents.append(HostAgent(host_library, region, geometry=geometry))
        return agents[-1]

    yield make
    for agent in agents:
        assert agent.violations == 0, "the core wrote to flash that was not erased, or out of bounds"
        agent.close()


@pytest.fixture
def newborn(make_core: Callable[..., HostAgent], made: Made) -> HostAgent:
    """A device with two pre-baked models and nothing else."""
    return make_core(made.region(PREBAKED, SECOND_PREBAKED))


@pytest.fixture
def updated(newborn: HostAgent, bench: Bench, made: Made) -> HostAgent:
    """A device with two installed models: NEW runs, OLD is in the other slot."""
    assert deliver(newborn, install(bench, made, OLD, 1)).code == 0
    assert deliver(newborn, install(bench, made, NEW, 2)).code == 0
    return newborn
