# SPDX-License-Identifier: Apache-2.0
"""The agent on the emulated boards: the real firmware, its UART, and flash that outlives the emulator."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.tools.size_report import read_symbols
from reconciler.devices.conversation import Answered, Confirmed, Outcome, Rejected, RetryPolicy, TrialFailed
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import Have, Missing, ReportKind, Stage, encode
from reconciler.devices.reports import CapabilitiesBody, DecisionReason, DeviceReport, ModelLocation
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.serial_port import SerialPort
from reconciler.devices.transfer import TransferCost
from reconciler.model import DeviceId, Phase
from signing import keys
from signing.verification_error import VerificationCode
from tests.firmware.bench import Bench, Made, make_failing_pack, make_pack
from tests.firmware.board import Board, Machine, write_flash_file
from tests.firmware.talk import SerialDevice, ask, digest16, first_blocks, job, question, report_of, update

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]
ADDRESS = 7
PATIENT = RetryPolicy(silences=600)  # an emulator may have to wait for the processor
PREBAKED, OLD, NEW = make_pack(1), make_pack(2, inputs=1500), make_pack(3, inputs=3000)
SLOT_BYTES = {
    "mps2-an386": 0x40000,
    "riscv32-virt": 0x80000,
    "nrf51-microbit": 0x10000,
    "stm32l4": 0x40000,
    "nrf52840": 0x40000,
    "esp32c3": 0x40000,
}
MakeBoard = Callable[[bytes], Board]
BUDGET = Path(__file__).resolve().parents[2] / "firmware" / "budget.json"


@pytest.fixture
def made(bench: Bench) -> Made:
    return bench.device("pump-1", address=ADDRESS)


def install(device: SerialDevice, bench: Bench, made: Made, pack: bytes) -> None:
    before = report_of(device, made)
    outcome, _ = update(device, made, job(made, bench.install(made, pack, before.sequence + 1), pack, before))
    assert isinstance(outcome, Confirmed), outcome


def test_reports_its_identity(make_board: MakeBoard, made: Made, machine: Machine) -> None:
    device = SerialDevice(make_board(made.region(PREBAKED)).uart, ADDRESS)
    reported = ask(device, made, ReportKind.CAPABILITIES)
    assert isinstance(reported, CapabilitiesBody)
    assert (reported.type, reported.class_id) == ("bench", made.target.klass)
    assert reported.prebaked == (digest16(PREBAKED),)
    assert reported.updates
    assert reported.slot_bytes == SLOT_BYTES[machine.name]
    assert reported.answer_ms == (6000 if machine.name == "nrf51-microbit" else 2000)
    report = report_of(device, made)
    assert (report.phase, report.location, report.why) == (
        Phase.IDLE,
        ModelLocation.PREBAKED,
        DecisionReason.FELL_BACK_TO_PREBAKED,
    )
    assert report.running == digest16(PREBAKED)


def test_full_update_over_the_uart(make_board: MakeBoard, bench: Bench, made: Made) -> None:
    device = SerialDevice(make_board(made.region(PREBAKED)).uart, ADDRESS)
    install(device, bench, made, OLD)
    install(device, bench, made, NEW)
    report = report_of(device, made)
    assert (report.phase, report.why, report.sequence) == (Phase.CONFIRMED, DecisionReason.CONFIRMED, 2)
    assert (report.running, report.other) == (digest16(NEW), digest16(OLD))
    assert report.error == 0


def test_a_kill_during_a_transfer_resumes(make_board: MakeBoard, bench: Bench, made: Made) -> None:
    board = make_board(made.region(PREBAKED))
    device = SerialDevice(board.uart, ADDRESS)
    install(device, bench, made, OLD)
    before = report_of(device, made)
    work = job(made, bench.install(made, NEW, before.sequence + 1), NEW, before)
    half = work.blocks // 2
    first_blocks(device, work, half)
    assert question(device, Missing(work.transfer)) == Have(work.transfer, half, b"")

    board.kill()
    board.start()

    device = SerialDevice(board.uart, ADDRESS)
    after = report_of(device, made)
    assert after.running == digest16(OLD)
    assert after.transfer is not None
    assert after.transfer.first >= half - 1
    outcome, transfer = update(device, made, work)
    assert isinstance(outcome, Confirmed), outcome
    assert transfer.cost.blocks_sent <= work.blocks - half + 1
    assert report_of(device, made).running == digest16(NEW)


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.04])
def test_a_kill_during_staging(make_board: MakeBoard, bench: Bench, made: Made, after_s: float) -> None:
    """Somewhere between decoding, the restart and the trial: it then runs the old or the new pack, and can continue."""
    board = make_board(made.region(PREBAKED))
    device = SerialDevice(board.uart, ADDRESS)
    install(device, bench, made, OLD)
    before = report_of(device, made)
    work = job(made, bench.install(made, NEW, before.sequence + 1), NEW, before)
    first_blocks(device, work, work.blocks)
    assert question(device, Missing(work.transfer)) == Have(work.transfer, work.blocks, b"")
    device.say(encode(Stage(work.transfer)))
    time.sleep(after_s)  # the instant is what this test is about

    board.kill()
    board.start()

    device = SerialDevice(board.uart, ADDRESS)
    assert report_of(device, made).running in {digest16(OLD), digest16(NEW)}
    outcome, _ = update(device, made, work)
    assert isinstance(outcome, Confirmed), outcome
    assert report_of(device, made).running == digest16(NEW)


def test_bad_signature_is_refused(make_board: MakeBoard, bench: Bench, made: Made) -> None:
    device = SerialDevice(make_board(made.region(PREBAKED)).uart, ADDRESS)
    before = report_of(device, made)
    good = bench.install(made, NEW, 1)
    bad = bytearray(good)
    bad[good.rindex(b"\x58\x40") + 2] ^= 1  # the first byte of the envelope's own signature
    outcome, _ = update(device, made, job(made, bytes(bad), NEW, before))
    assert isinstance(outcome, Rejected)
    assert outcome.code == -VerificationCode.SIGNATURE
    stranger = bench.install(made, NEW, 1, signer=keys.generate())
    outcome, _ = update(device, made, job(made, stranger, NEW, before))
    assert isinstance(outcome, Rejected)
    assert outcome.code == -VerificationCode.SIGNER
    assert report_of(device, made).running == digest16(PREBAKED)


def test_failing_trial_falls_back_to_prebaked(make_board: MakeBoard, bench: Bench, made: Made) -> None:
    device = SerialDevice(make_board(made.region(PREBAKED)).uart, ADDRESS)
    bad = make_failing_pack(5, inputs=200)
    before = report_of(device, made)
    outcome, _ = update(device, made, job(made, bench.install(made, bad, 1), bad, before))
    assert isinstance(outcome, TrialFailed), outcome
    assert outcome.report.failed == digest16(bad)
    report = report_of(device, made)
    assert (report.running, report.location) == (digest16(PREBAKED), ModelLocation.PREBAKED)
    assert report.sequence == 1
    install(device, bench, made, NEW)  # and it continues


def test_failing_trial_falls_back_to_previous(make_board: MakeBoard, bench: Bench, made: Made) -> None:
    device = SerialDevice(make_board(made.region(PREBAKED)).uart, ADDRESS)
    install(device, bench, made, OLD)
    bad = make_failing_pack(5, inputs=200)
    before = report_of(device, made)
    outcome, _ = update(device, made, job(made, bench.install(made, bad, 2), bad, before))
    assert isinstance(outcome, TrialFailed), outcome
    report = report_of(device, made)
    assert (report.running, report.why) == (digest16(OLD), DecisionReason.FELL_BACK_TO_PREVIOUS)


def test_the_gateways_stack_over_a_serial_port(
    machine: Machine, board_elf: Path, bench: Bench, made: Made, tmp_path: Path
) -> None:
    """Fleet, serial link and serial port as the daemon uses them, with a pack of 54 KB."""
    pack = make_pack(9, inputs=4090, vectors=12)
    device = DeviceId(made.name)
    flash = tmp_path / "flash.bin"
    write_flash_file(machine, flash, {0: made.region(PREBAKED)})

    async def update_it(path: Path) -> tuple[DeviceReport, Outcome, TransferCost]:
        link = SerialLink(SerialPort(f"unix:{path}", 460800), {device: ADDRESS})
        fleet = LinkSession(link, lambda _device, cose, nonce: made.open_signed(cose, nonce), retry=PATIENT)
        running = asyncio.create_task(fleet.run())
        asked = await fleet.ask(device, ReportKind.REPORT)
        assert isinstance(asked, Answered), asked
        assert isinstance(asked.body, DeviceReport)
        work = job(made, bench.install(made, pack, 1), pack, asked.body, block_bytes=1024)
        outcome, effort = await fleet.update(work)
        running.cancel()
        return asked.body, outcome, effort

    with tempfile.TemporaryDirectory() as short, Board(machine, board_elf, flash, listen=Path(short) / "uart") as board:
        assert board.pid
        before, outcome, effort = asyncio.run(update_it(Path(short) / "uart"))
    flash.unlink()
    assert before.running == digest16(PREBAKED)
    assert isinstance(outcome, Confirmed), outcome
    assert outcome.report.running == digest16(pack)
    # None on a machine with time; an emulator that is not given the processor loses what its UART has no room for.
    assert effort.blocks_resent <= effort.blocks_sent // 2


def test_sleeps_when_idle(make_board: MakeBoard, made: Made) -> None:
    board = make_board(made.region(PREBAKED))
    report_of(SerialDevice(board.uart, ADDRESS), made)
    used = board.cpu_s()
    board.uart.settimeout(2.0)
    with pytest.raises(TimeoutError):
        board.uart.recv(1)  # silent, as a device on a shared line is
    assert board.cpu_s() - used < 0.4


def test_stack_keeps_to_its_budget(
    make_board: MakeBoard, bench: Bench, made: Made, board_elf: Path, machine: Machine
) -> None:
    board = make_board(made.region(PREBAKED))
    device = SerialDevice(board.uart, ADDRESS)
    install(device, bench, made, NEW)
    ask(device, made, ReportKind.CAPABILITIES)
    symbols = read_symbols(machine.binutils, board_elf)
    used = board.stack_used_bytes(symbols["board_stack_begin"].address, symbols["board_stack_end"].address)
    assert 500 < used <= json.loads(BUDGET.read_text())[machine.stack_budget], f"{used} bytes of stack"
