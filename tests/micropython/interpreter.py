# SPDX-License-Identifier: Apache-2.0
"""Starts the real MicroPython: its Unix port, from a wheel, and the official WebAssembly build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
AGENT = ROOT / "micropython"
ON_DEVICE = Path(__file__).with_name("on_device")  # scripts that run on MicroPython
UNIX_PORT = Path(sys.executable).parent / "micropython"
WEBASSEMBLY = ROOT / "build/micropython-wasm/node_modules/@micropython/micropython-webassembly-pyscript/micropython.mjs"
HEAP = "heapsize=8m"


def environment(agent: Path = AGENT) -> dict[str, str]:
    """The environment in which MicroPython imports the agent."""
    return {**os.environ, "MICROPYPATH": f"{agent}:.frozen"}


def unix_command(script: Path, *arguments: str | Path) -> list[str]:
    """The command that runs a script on the Unix port."""
    return [str(UNIX_PORT), "-X", HEAP, str(script), *map(str, arguments)]


def run(script: Path, *arguments: str | Path, timeout_s: float = 240) -> str:
    """Run a script on the Unix port to its end; return its output."""
    command = unix_command(script, *arguments)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=timeout_s)
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


class Interpreter:
    """A process of MicroPython that takes one command a line, like that of the agent in C (tests.firmware)."""

    def __init__(self, command: list[str], *, agent: Path = AGENT) -> None:
        self._process = subprocess.Popen(
            command, env=environment(agent), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, command: str, *arguments: bytes | int) -> str:
        """Return the line of the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [str(part) if isinstance(part, int) else part.hex() or "-" for part in arguments]
        self._process.stdin.write(" ".join([command, *words]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"MicroPython ended at {command} {' '.join(words)[:400]}"
        return answer.strip()

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def webassembly_command(script: Path) -> list[str] | None:
    """The command that runs a script on the WebAssembly build; None unless `make micropython-wasm` has installed it."""
    if shutil.which("node") is None or not WEBASSEMBLY.exists():
        return None
    return ["node", str(Path(__file__).with_name("wasm.mjs")), str(WEBASSEMBLY), str(AGENT), str(script)]
