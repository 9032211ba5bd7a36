# SPDX-License-Identifier: Apache-2.0
"""The whole demo: every scene is observed, and nothing is left behind."""

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
KEEPS_RUNNING = "Press Ctrl-C here to stop everything."
ENDS_WITHIN_S = 60


@pytest.fixture(scope="module", autouse=True)
def firmware() -> None:
    """Build the firmware of the demo if necessary; concurrent builds wait for each other."""
    (ROOT / "firmware" / "build").mkdir(exist_ok=True)
    command = ["flock", "firmware/build/.lock", "make", "-s", "demo-firmware"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is in the command line of every process of the demo."""
    with tempfile.TemporaryDirectory(prefix="demo") as made:  # the path of a socket must be short
        yield Path(made)


class Demo:
    """A demo in its own process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self.output = ""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo", *options],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read(self, until: Callable[[str], bool]) -> None:
        """Read its output up to a certain line."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if until(line):
                return
        raise AssertionError(f"it ended early:\n{self.output}")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self._process.send_signal(number)
        rest, _ = self._process.communicate(timeout=ENDS_WITHIN_S)
        self.output += rest
        return self._process.returncode

    def wait(self) -> int:
        """Wait for it to end; returns the exit code."""
        rest, _ = self._process.communicate(timeout=ENDS_WITHIN_S)
        self.output += rest
        return self._process.returncode

    def left_behind(self) -> list[str]:
        """List the processes of the demo that are still running."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has just exited
            if f"{self._folder}/" in command:
                found.append(command)
        return found


@pytest.mark.timeout(400)
def test_every_scene_is_observed_and_nothing_is_left_behind(folder: Path) -> None:
    demo = Demo(folder, "--keep")
    demo.read(lambda line: KEEPS_RUNNING in line)
    running = {Path(command.split()[0]).name for command in demo.left_behind()}
    assert {"mosquitto", "tinyfleet-vdev", "qemu-system-arm"} <= running
    assert demo.end(signal.SIGINT) == 0, demo.output
    lines = demo.output.splitlines()
    scenes = [found[1] for line in lines if (found := re.match(r"(\d)/\d ", line))]
    assert scenes == [str(number) for number in range(1, len(scenes) + 1)]
    assert lines[-1] == f"scenes={len(scenes)}/{len(scenes)}"
    assert demo.left_behind() == []
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(600)
def test_the_story_of_a_contest_is_observed_to_its_end(folder: Path) -> None:
    demo = Demo(folder, "contest")
    demo.read(lambda line: line.startswith("scenes="))
    assert demo.wait() == 0, demo.output
    assert demo.output.splitlines()[-1] == "scenes=5/5"
    assert "(proposed)" in demo.output
    assert "of which" in demo.output  # the device counts which of its rows its own forest calls anomalous
    assert "learned_pumps proposes models forest@learned-" in demo.output
    assert demo.left_behind() == []
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(400)
def test_the_story_of_a_pipeline_is_observed_to_its_end(folder: Path) -> None:
    demo = Demo(folder, "pipeline")
    demo.read(lambda line: line.startswith("scenes="))
    assert demo.wait() == 0, demo.output
    assert demo.output.splitlines()[-1] == "scenes=4/4"
    assert demo.output.count("the same bytes as the model in one piece") == 3
    assert demo.left_behind() == []
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(200)
def test_the_story_of_operations_is_observed_to_its_end(folder: Path) -> None:
    demo = Demo(folder, "operations")
    demo.read(lambda line: line.startswith("scenes="))
    assert demo.wait() == 0, demo.output
    assert demo.output.splitlines()[-1] == "scenes=5/5"
    assert "it used up its fuel" in demo.output
    assert demo.left_behind() == []
    assert list(folder.iterdir()) == []


@pytest.mark.timeout(200)
def test_a_demo_that_is_stopped_early_stops_everything(folder: Path) -> None:
    demo = Demo(folder)
    demo.read(lambda line: "git push" in line)
    assert demo.left_behind()
    assert demo.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert demo.left_behind() == []
    assert "scenes=" not in demo.output
