# SPDX-License-Identifier: Apache-2.0
"""The parts of the demo: the throttled line, the block marks of the board, the messages of a failure, the stories."""

from __future__ import annotations

import inspect
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import models
from demo.board import BLOCK_MARKS_AT, WRITE_BYTES, Board
from demo.narrator import Narrator
from demo.scene_context import ENDED, SceneContext
from demo.stories import DEFAULT_STORY, STORIES
from demo.throttled_line import ThrottledLine
from demo.world import NotObservedError, World
from reconciler.engine.delivery import device_update

BAUD = 9600
TIMEOUT_S = 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="demo") as made:  # the path of a socket must be short
        yield Path(made)


class Ends:
    """A line with a socket at both ends."""

    def __init__(self, folder: Path) -> None:
        self.board_end = folder / "board"
        self.line = ThrottledLine(folder / "gateway", self.board_end, BAUD)
        self.line.start()
        self.gateway = socket.socket(socket.AF_UNIX)
        self.gateway.settimeout(TIMEOUT_S)
        self.gateway.connect(str(folder / "gateway"))
        self.board = self.connect_board()

    def connect_board(self) -> socket.socket:
        """Listen as the UART of the board, and wait until the line connects."""
        self.board_end.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(TIMEOUT_S)
            listener.bind(str(self.board_end))
            listener.listen(1)
            board, _ = listener.accept()
        board.settimeout(TIMEOUT_S)
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


def received(end: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        some = end.recv(count - len(data))
        assert some, "the other end is closed"
        data += some
    return data


def test_bytes_take_their_time_and_are_counted(ends: Ends) -> None:
    data = bytes(range(240))
    began = time.monotonic()
    ends.gateway.sendall(data)
    assert received(ends.board, len(data)) == data
    assert time.monotonic() - began >= len(data) * 10 / BAUD
    ends.board.sendall(b"yes")
    assert received(ends.gateway, 3) == b"yes"
    assert (ends.line.to_board_bytes, ends.line.to_gateway_bytes) == (240, 3)


def test_the_line_survives_a_board_without_power(ends: Ends) -> None:
    ends.board.close()
    ends.gateway.sendall(b"lost")
    while ends.line.to_board_bytes < len(b"lost"):
        time.sleep(0.01)  # nothing signals a new count
    ends.board = ends.connect_board()
    ends.gateway.sendall(b"back")
    assert received(ends.board, len(b"back")) == b"back"


def test_complete_blocks_are_counted_in_the_flash(folder: Path) -> None:
    flash = folder / "flash"
    with World(folder) as world:
        board = Board(world, flash, BAUD)
        content = bytearray(b"\xff" * (1 << 20))
        content[BLOCK_MARKS_AT - WRITE_BYTES] = 0  # the mark of an erase unit
        flash.write_bytes(content)
        assert board.blocks_held() == 0
        content[BLOCK_MARKS_AT + 7] = 0x7F  # torn, but set
        content[BLOCK_MARKS_AT + 2 * WRITE_BYTES] = 0
        flash.write_bytes(content)
        assert board.blocks_held() == 2
        board.line.stop()


def test_a_timeout_shows_the_end_of_all_logs(folder: Path) -> None:
    with World(folder) as world:
        talker = world.start("talker", "sh", "-c", "echo well; exec sleep 60")
        world.wait_for("its output", lambda: "well" in talker.said, within_s=TIMEOUT_S)
        with pytest.raises(NotObservedError, match=r"in vain for: rain\n--- talker\nwell"):
            world.wait_for("rain", lambda: False, within_s=0)
        world.start("failure", "sh", "-c", "echo woe; exit 3")
        with pytest.raises(NotObservedError, match=r"failure exited while waiting for: rain"):
            world.wait_for("rain", lambda: False, within_s=TIMEOUT_S)


def test_a_process_that_ignores_sigterm_is_killed(folder: Path) -> None:
    with World(folder) as world:
        deaf = world.start("deaf", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")
        world.wait_for("deafness", lambda: "deaf" in deaf.said, within_s=TIMEOUT_S)
        assert deaf.stop(within_s=0.2) == -9


def test_recordings_are_the_same_in_every_run() -> None:
    assert models.recordings() == models.recordings()


def test_progress_is_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Narrator().bar("eggs", 8) as advance:
        for done in (0, 1, 2, 2, 7, 8):
            advance(done)
    assert capsys.readouterr().out.splitlines() == ["    eggs: 2 of 8", "    eggs: 7 of 8", "    eggs: 8 of 8"]


def test_a_requirement_that_does_not_hold_ends_the_demo() -> None:
    with pytest.raises(NotObservedError, match="this must hold, but does not: grass is green"):
        SceneContext.require("grass is green", holds=False)


def test_stories_have_names_summaries_and_headings() -> None:
    assert DEFAULT_STORY in STORIES
    for name, story in STORIES.items():
        assert name == story.name
        assert story.summary
        assert all((scene.__doc__ or "").strip() for scene in story.scenes)


def test_an_unknown_story_lists_the_known_ones() -> None:
    done = subprocess.run([sys.executable, "-m", "demo", "opera"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no story named 'opera'" in done.stderr
    assert all(f"  {story.name} " in done.stderr for story in STORIES.values())


def test_the_demo_parses_the_line_that_the_gateway_logs_for_an_order() -> None:
    """The demo reads its figures from that line. A line that it cannot parse would end it after minutes."""
    source = inspect.getsource(device_update)
    (line,) = re.findall(r'"(%s: %s \(.*?\))"', source)
    assert ENDED.findall(line % ("vibration@1.2.0", "Confirmed", 7, 1)) == [("Confirmed", "7", "1")]
