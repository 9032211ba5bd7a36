# SPDX-License-Identifier: Apache-2.0
"""The parts of the demo by themselves: the slow wire, the board's marks, what is said of a failure."""

from __future__ import annotations

import inspect
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import models
from demo.board import BLOCK_MARKS_AT, WRITE_BYTES, Board
from demo.line import ThrottledLine
from demo.stage import ENDED, Stage
from demo.telling import Teller
from demo.world import NotObservedError, World
from reconciler.engine.delivery import device_update

BAUD = 9600
PATIENCE_S = 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="demo") as made:  # a socket's path is short
        yield Path(made)


class Ends:
    """A wire with somebody at both ends."""

    def __init__(self, folder: Path) -> None:
        self.board_end = folder / "board"
        self.line = ThrottledLine(folder / "gateway", self.board_end, BAUD)
        self.line.start()
        self.gateway = socket.socket(socket.AF_UNIX)
        self.gateway.settimeout(PATIENCE_S)
        self.gateway.connect(str(folder / "gateway"))
        self.board = self.plug_in()

    def plug_in(self) -> socket.socket:
        """Wait until the wire finds the board's UART."""
        self.board_end.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(PATIENCE_S)
            listener.bind(str(self.board_end))
            listener.listen(1)
            board, _ = listener.accept()
        board.settimeout(PATIENCE_S)
        return board

    def stop(self) -> None:
        self.line.stop()
        self.gateway.close()
        self.board.close()


@pytest.fixture
def ends(folder: Path) -> Iterator[Ends]:
    made = Ends(folder)
    yield made
    made.stop()


def heard(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        some = end.recv(count - len(data))
        assert some, "the other end is gone"
        data += some
    return data


def test_bytes_take_as_long_as_on_a_wire_and_are_counted(ends: Ends) -> None:
    data = bytes(range(240))
    began = time.monotonic()
    ends.gateway.sendall(data)
    assert heard(ends.board, len(data)) == data
    assert time.monotonic() - began >= len(data) * 10 / BAUD
    ends.board.sendall(b"yes")
    assert heard(ends.gateway, 3) == b"yes"
    assert (ends.line.to_board_bytes, ends.line.to_gateway_bytes) == (240, 3)


def test_a_board_without_power_is_silent_and_the_line_stays(ends: Ends) -> None:
    ends.board.close()
    ends.gateway.sendall(b"lost")
    while ends.line.to_board_bytes < len(b"lost"):
        time.sleep(0.01)  # a count tells nobody
    ends.board = ends.plug_in()
    ends.gateway.sendall(b"heard")
    assert heard(ends.board, len(b"heard")) == b"heard"


def test_whole_blocks_are_counted_in_the_flash(folder: Path) -> None:
    flash = folder / "flash"
    with World(folder) as world:
        board = Board(world, flash, BAUD)
        content = bytearray(b"\xff" * (1 << 20))
        content[BLOCK_MARKS_AT - WRITE_BYTES] = 0  # the mark of an erase unit
        flash.write_bytes(content)
        assert board.blocks_held() == 0
        content[BLOCK_MARKS_AT + 7] = 0x7F  # torn, and yet set
        content[BLOCK_MARKS_AT + 2 * WRITE_BYTES] = 0
        flash.write_bytes(content)
        assert board.blocks_held() == 2
        board.line.stop()


def test_what_was_waited_for_is_told_with_the_ends_of_all_logs(folder: Path) -> None:
    with World(folder) as world:
        talker = world.start("talker", "sh", "-c", "echo well; exec sleep 60")
        world.wait_for("its word", lambda: "well" in talker.said, within_s=PATIENCE_S)
        with pytest.raises(NotObservedError, match=r"in vain for: rain\n--- talker\nwell"):
            world.wait_for("rain", lambda: False, within_s=0)
        world.start("failure", "sh", "-c", "echo woe; exit 3")
        with pytest.raises(NotObservedError, match=r"failure ended by itself while waiting for: rain"):
            world.wait_for("rain", lambda: False, within_s=PATIENCE_S)


def test_who_does_not_heed_is_ended_by_force(folder: Path) -> None:
    with World(folder) as world:
        deaf = world.start("deaf", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")
        world.wait_for("deafness", lambda: "deaf" in deaf.said, within_s=PATIENCE_S)
        assert deaf.stop(within_s=0.2) == -9


def test_recordings_are_the_same_in_every_run() -> None:
    assert models.recordings() == models.recordings()


def test_progress_is_told_in_plain_lines_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Teller().bar("eggs", 8) as advance:
        for done in (0, 1, 2, 2, 7, 8):
            advance(done)
    assert capsys.readouterr().out.splitlines() == ["    eggs: 2 of 8", "    eggs: 7 of 8", "    eggs: 8 of 8"]


def test_what_must_be_so_ends_the_demo_if_it_is_not() -> None:
    with pytest.raises(NotObservedError, match="this should be so, and is not: grass is green"):
        Stage.require("grass is green", holds=False)


def test_the_demo_reads_the_line_that_the_gateway_logs_of_an_order() -> None:
    """It has its figures from there; a line that reads differently would end it after minutes, with nothing found."""
    source = inspect.getsource(device_update)
    (line,) = re.findall(r'"(%s: %s \(.*?\))"', source)
    assert ENDED.findall(line % ("vibration@1.2.0", "Confirmed", 7, 1)) == [("Confirmed", "7", "1")]
