# SPDX-License-Identifier: Apache-2.0
"""The whole demo, as a newcomer runs it: each scene is observed, and nothing of it stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY_TO_PLAY = "Ctrl-C here ends it all."
ENDS_WITHIN_S = 60


@pytest.fixture(scope="module", autouse=True)
def firmware() -> None:
    """Build what the demo runs on; the build itself knows when there is nothing to do, and waits for another one."""
    (ROOT / "firmware" / "build").mkdir(exist_ok=True)
    command = ["flock", "firmware/build/.lock", "make", "-s", "demo-firmware"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Everything that the demo starts has this folder's name in its command line."""
    with tempfile.TemporaryDirectory(prefix="demo") as made:  # a socket's path is short
        yield Path(made)


class Demo:
    """A demo in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self.said = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo", *options],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def hear(self, until: Callable[[str], bool]) -> None:
        """Listen until it says a certain line."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if until(line):
                return
        raise AssertionError(f"it ended too early:\n{self.said}")

    def end(self, number: signal.Signals) -> int:
        """Send it a signal and wait for its end; returns its exit code."""
        self._process.send_signal(number)
        rest, _ = self._process.communicate(timeout=ENDS_WITHIN_S)
        self.said += rest
        return self._process.returncode

    def left_behind(self) -> list[str]:
        """List what still runs of it."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has just ended
            if f"{self._folder}/" in command:
                found.append(command)
        return found


@pytest.mark.timeout(400)
def test_each_scene_is_observed_and_nothing_stays(folder: Path) -> None:
    demo = Demo(folder, "--keep")
    demo.hear(lambda line: READY_TO_PLAY in line)
    running = {Path(command.split()[0]).name for command in demo.left_behind()}
    assert {"mosquitto", "tinyfleet-vdev", "qemu-system-arm"} <= running
    assert demo.end(signal.SIGINT) == 0, demo.said
    lines = demo.said.splitlines()
    scenes = [found[1] for line in lines if (found := re.match(r"(\d)/\d ", line))]
    assert scenes == [str(number) for number in range(1, len(scenes) + 1)]
    assert lines[-1] == f"scenes={len(scenes)}/{len(scenes)}"
    assert demo.left_behind() == []
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(200)
def test_ended_in_the_middle_it_takes_all_with_it(folder: Path) -> None:
    demo = Demo(folder)
    demo.hear(lambda line: "git push" in line)
    assert demo.left_behind()
    assert demo.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert demo.left_behind() == []
    assert "scenes=" not in demo.said
