# SPDX-License-Identifier: Apache-2.0
"""The example without an operating system, built from the unpacked archive alone, takes updates on emulated boards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.tools.size_report import read_symbols
from reconciler.devices.conversation import Confirmed, Rejected
from reconciler.devices.messages import Have, Missing, ReportKind
from reconciler.devices.reports import CapabilitiesBody, DecisionReason
from reconciler.model import Phase
from signing import keys
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.board import MPS2_AN386, RISCV32_VIRT, Board, Machine, write_flash_file
from tests.firmware.talk import SerialDevice, ask, digest16, first_blocks, job, question, report_of, update
from tests.library.conftest import run

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
ADDRESS = 7
PREBAKED, FIRST, SECOND = make_pack(1), make_pack(2, inputs=1500), make_pack(3, inputs=3000)
TOOLCHAINS = {MPS2_AN386: "toolchain-arm.cmake", RISCV32_VIRT: "toolchain-riscv32.cmake"}
Switch = Callable[[bytes], Board]


@pytest.fixture(scope="module", params=TOOLCHAINS, ids=lambda machine: machine.name)
def machine(request: pytest.FixtureRequest) -> Machine:
    assert isinstance(request.param, Machine)
    return request.param


@pytest.fixture(scope="module")
def elf(unpacked: Path, machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build as the head of the example's CMakeLists.txt says, in a folder of its own."""
    example, build = unpacked / "examples" / "bare-metal", tmp_path_factory.mktemp(machine.name)
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={example / 'board' / TOOLCHAINS[machine]}"
    run("cmake", "-G", "Ninja", "-B", build, f"-DBOARD={machine.name}", toolchain, cwd=example)
    run("cmake", "--build", build, cwd=example)
    return build / "vibration-alarm.elf"


@pytest.fixture
def switch_on(machine: Machine, elf: Path, tmp_path: Path) -> Iterator[Switch]:
    boards: list[Board] = []

    def start(region: bytes) -> Board:
        flash = tmp_path / f"flash{len(boards)}.bin"
        write_flash_file(machine, flash, {0: region})
        boards.append(Board(machine, elf, flash))
        boards[-1].start()
        return boards[-1]

    yield start
    for board in boards:
        board.kill()
        board.flash.unlink()


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1", address=ADDRESS)


def test_the_example_takes_updates(switch_on: Switch, bench: Bench, made: Made) -> None:
    device = SerialDevice(switch_on(made.region(PREBAKED)).uart, ADDRESS)
    capabilities = ask(device, made, ReportKind.CAPABILITIES)
    assert isinstance(capabilities, CapabilitiesBody)
    assert capabilities.updates
    before = report_of(device, made)
    assert before.running == digest16(PREBAKED)
    for sequence, pack in ((1, FIRST), (2, SECOND)):
        before = report_of(device, made)
        outcome, _ = update(device, made, job(made, bench.install(made, pack, sequence), pack, before))
        assert isinstance(outcome, Confirmed), outcome
    after = report_of(device, made)
    assert (after.phase, after.why, after.error) == (Phase.CONFIRMED, DecisionReason.CONFIRMED, 0)
    assert (after.running, after.other) == (digest16(SECOND), digest16(FIRST))


def test_the_example_refuses_a_stranger(switch_on: Switch, bench: Bench, made: Made) -> None:
    device = SerialDevice(switch_on(made.region(PREBAKED)).uart, ADDRESS)
    before = report_of(device, made)
    stranger = bench.install(made, FIRST, 1, signer=keys.generate())
    outcome, _ = update(device, made, job(made, stranger, FIRST, before))
    assert isinstance(outcome, Rejected), outcome
    assert report_of(device, made).running == digest16(PREBAKED)


def test_the_example_resumes_after_a_kill(switch_on: Switch, bench: Bench, made: Made) -> None:
    board = switch_on(made.region(PREBAKED))
    device = SerialDevice(board.uart, ADDRESS)
    work = job(made, bench.install(made, SECOND, 1), SECOND, report_of(device, made))
    half = work.blocks // 2
    first_blocks(device, work, half)
    assert question(device, Missing(work.transfer)) == Have(work.transfer, half, b"")

    board.kill()
    board.start()

    outcome, transfer = update(SerialDevice(board.uart, ADDRESS), made, work)
    assert isinstance(outcome, Confirmed), outcome
    assert transfer.cost.blocks_sent <= work.blocks - half + 1


def test_without_an_identity_the_example_keeps_running(machine: Machine, elf: Path, tmp_path: Path) -> None:
    """Nothing answers, and the firmware does not restart: the user's own work continues."""
    flash = tmp_path / "flash.bin"
    write_flash_file(machine, flash, {})
    with Board(machine, elf, flash, extra=("-no-reboot",)) as board:  # a restart ends the emulator
        device = SerialDevice(board.uart, ADDRESS, answer_s=1.0)
        assert device.ask(b"\x83\x00\x00\x48" + bytes(8)) is None
        window = read_symbols(machine.binutils, elf)["window"]
        assert board.memory(window.address, 4) == bytes(range(4)), "the sensor was not read"
