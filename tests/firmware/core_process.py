# SPDX-License-Identifier: Apache-2.0
"""The modules of the core in a process of their own, under the sanitizers: firmware/tests/core_check.c."""

from __future__ import annotations

import subprocess
from pathlib import Path


class CoreProcess:
    """Sends one command at a time. A finding of the sanitizers ends the process and fails the test."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command: str, *arguments: bytes | int) -> str:
        """Return the line of the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [str(part) if isinstance(part, int) else part.hex() or "-" for part in arguments]
        self._process.stdin.write((" ".join([command, *words]) + "\n").encode())
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the core died of {command} {' '.join(words)[:400]}"
        return answer.decode().strip()

    def close(self) -> None:
        """End it."""
        self._process.communicate()
