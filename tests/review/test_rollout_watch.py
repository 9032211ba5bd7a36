# SPDX-License-Identifier: Apache-2.0
"""`tinyfleet rollout show --watch` on a terminal: it follows what several gateways commit, until Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.review.changes import CAREFUL, FleetHistory, fleet_files, fleet_history, rollout_document
from tests.review.test_rollout_command import rollout_status_file

TINYFLEET = Path(sys.executable).parent / "tinyfleet"
WITHIN_S = 60


@pytest.fixture
def repository(tmp_path: Path) -> FleetHistory:
    made = fleet_history(tmp_path)
    made.commit({**fleet_files(), "rollout.yaml": rollout_document("2", CAREFUL)})
    return made


class Screen:
    """A terminal, and everything that was written to it."""

    def __init__(self, *command: str | Path) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160", "LINES": "60"}
        self.process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Read until a text has been shown."""
        deadline = time.monotonic() + WITHIN_S
        while text not in self.shown:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, (text, self.shown)
            self.shown += os.read(self._ours, 65536).decode(errors="replace")

    def interrupt(self) -> int:
        """Press Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(WITHIN_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WITHIN_S)
        os.close(self._ours)


def test_it_follows_what_gateways_commit_until_it_is_interrupted(repository: FleetHistory) -> None:
    repository.status(rollout_status_file(done=1), "hall")
    screen = Screen(TINYFLEET, "rollout", "show", "wear", repository.path, "--watch")
    try:
        screen.wait_for("reported by hall;")
        assert "0/11" in screen.shown
        repository.status(rollout_status_file(done=7), "yard")
        screen.wait_for("reported by hall, yard;")
        assert "6/11" in screen.shown
        repository.status(rollout_status_file(done=12), "hall")
        screen.wait_for("complete")
        assert screen.interrupt() == 0
        assert "Traceback" not in screen.shown
    finally:
        screen.close()
