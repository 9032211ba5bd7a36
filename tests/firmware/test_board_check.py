# SPDX-License-Identifier: Apache-2.0
"""What a board must do before it gets the agent: flash, watchdog, faults, flow control, sleep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from intelhex import IntelHex

from firmware.chips.elf import read_segments
from firmware.tools import board_check
from firmware.tools.board_images import write_images
from tests.firmware.board import MACHINES, Board, Machine, write_flash_file

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(120)]
ANSWER_S = 20.0


@pytest.fixture(scope="session", params=MACHINES, ids=lambda machine: machine.name)
def machine(request: pytest.FixtureRequest) -> Machine:
    """All of them: nothing here takes long on a slow emulator."""
    assert isinstance(request.param, Machine)
    return request.param


@pytest.fixture
def board(machine: Machine, board_elf: Path, tmp_path: Path) -> Iterator[Board]:
    flash = tmp_path / "flash.bin"
    write_flash_file(machine, flash, {})
    with Board(machine, board_elf.with_name("board-check.elf"), flash) as board:
        board.uart.settimeout(ANSWER_S)
        assert hear(board, 1) == b"!"
        yield board
    flash.unlink()


def hear(board: Board, count: int) -> bytes:
    heard = b""
    while len(heard) < count:
        data = board.uart.recv(count - len(heard))
        assert data, heard
        heard += data
    return heard


def command(board: Board, letters: str) -> str:
    board.uart.sendall(letters.encode())
    return hear(board, len(letters)).decode()


def not_emulated(machine: Machine) -> set[str]:
    """Return the commands of board-check that this emulator leaves without an effect."""
    return {letter for letter, emulated in (("s", machine.has_watchdog), ("f", machine.has_faults)) if not emulated}


def test_flash_takes_what_it_must_and_no_more(board: Board) -> None:
    assert command(board, "epc") == "+++"
    assert command(board, "ec") == "+-"
    assert command(board, "pec") == "++-"
    assert command(board, "o") == "-", "an odd length is not a write unit"
    assert command(board, "x") == "-", "outside, or not aligned"


def test_flash_survives_a_kill(board: Board) -> None:
    assert command(board, "ep") == "++"
    board.kill()
    board.start()
    board.uart.settimeout(ANSWER_S)
    assert hear(board, 1) == b"!", "a loss of power is not a fault"
    assert command(board, "c") == "+"


@pytest.mark.parametrize("letter", ["s", "f"], ids=["watchdog", "fault"])
def test_resets_and_leaves_a_note(board: Board, letter: str) -> None:
    if letter in not_emulated(board.machine):
        pytest.skip("not emulated")
    board.uart.sendall(letter.encode())
    assert hear(board, 1) == b"F"
    assert command(board, "r") == "!", "the note is taken once"
    assert command(board, "k") == "k"


def test_the_script_for_owners_of_a_board(board: Board) -> None:
    """It plays the same commands, and its form says which of them a board answers otherwise."""
    steps = [step for step in board_check.STEPS if step.send.decode() not in not_emulated(board.machine)]
    results = list(board_check.check(UartLine(board), steps))
    assert [result.step.shows for result in results if not result.good] == []
    wrong = board_check.Result(board_check.Step(b"e", b"-", "refuses an erase"), b"+")
    shown = board_check.form("some-port", [*results, wrong])
    assert shown.count("| yes | as expected |") == len(steps)
    assert "| refuses an erase | NO | b'+' |" in shown


class UartLine:
    """The UART of an emulated board as a serial port."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def write(self, data: bytes, /) -> None:
        self._board.uart.sendall(data)

    def read(self, count: int, /) -> bytes:
        return hear(self._board, count)


def test_images_have_what_the_elf_files_have(board_elf: Path, machine: Machine, tmp_path: Path) -> None:
    files = write_images(board_elf.parent, machine.name, tmp_path)
    raw = [file.read_bytes() for file in files if file.suffix == ".bin"]
    files = [file for file in files if file.suffix == ".hex"]
    assert [file.name for file in files] == [f"{machine.name}-{name}.hex" for name in ("board-check", "tinyfleet")]
    for file, elf in zip(files, (board_elf.with_name("board-check.elf"), board_elf), strict=True):
        image = IntelHex(str(file))
        assert {
            at: image.tobinstr(start=at, size=len(data)) for at, data in read_segments(elf).items()
        } == read_segments(elf)
        begin = image.minaddr()
        assert raw == [] or raw.pop(0) == image.tobinstr(start=begin)


def test_no_byte_is_lost_in_a_burst(board: Board) -> None:
    burst = bytes(b"0123456789"[i % 10] for i in range(20_000))
    board.uart.sendall(burst)
    assert hear(board, len(burst)) == burst


def test_watchdog_is_fed_while_it_sleeps(board: Board) -> None:
    board.uart.settimeout(2.0)  # four times its watchdog's time
    used = board.cpu_s()
    with pytest.raises(TimeoutError):
        board.uart.recv(1)
    assert board.cpu_s() - used < 0.4
