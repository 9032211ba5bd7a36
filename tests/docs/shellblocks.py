# SPDX-License-Identifier: Apache-2.0
"""Finds the commands in documents, and runs the marked ones in a shell."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(.*)$")
PROMPT = re.compile(r"^(?:[a-z]+)?\$ +")
SHELLS = ("", "sh", "console")
RUN = ("test",)
# Folders of a real machine, which a test has below its own folder: `/media/safe` is `./media/safe`.
ABSOLUTE = re.compile(r"(?<![\w./])/(etc/(?:tinyfleet|mosquitto)|media|srv)/")
# Why a test cannot run a block; its commands and options are checked in any case.
NEEDS = {
    "root": "changes the system",
    "hardware": "a board on a port, or a broker for devices",
    "emulator": "an emulated board that is started by hand; see tests/firmware/board.py",
    "daemon": "a running gateway",
    "checkout": "works in a checkout; the target has tests of its own",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: Path
    line: int  # of its first line of content
    words: tuple[str, ...]  # the words after the fence
    text: str

    @property
    def place(self) -> str:
        """Return its page and line."""
        return f"{self.page.name}:{self.line}"

    @property
    def needs(self) -> str | None:
        """Return what it declares to need that a test does not have."""
        return self.words[2] if len(self.words) == len(("sh", "needs", "what")) and self.words[1] == "needs" else None

    @property
    def runs(self) -> bool:
        """Return whether a test runs it."""
        return self.words[1:] == RUN

    def script(self, folder: Path) -> str:
        """Return a script for a shell: without prompts, and with paths below the folder of the test."""
        lines = self.text.splitlines() if self.words[0] == "sh" else list(commands(self))
        return ABSOLUTE.sub(rf"{folder}/\1/", "\n".join(lines)) + "\n"


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    begun: tuple[int, tuple[str, ...]] | None = None
    content: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if fence is None:
            content.append(line)
        elif begun is None:
            begun, content = (number + 1, tuple(fence[1].split())), []
        else:
            yield Block(page, begun[0], begun[1], "\n".join(content) + "\n")
            begun = None
    if begun is not None:
        raise AssertionError(f"{page.name}:{begun[0] - 1}: this fence is never closed")


def commands(block: Block) -> Iterator[str]:
    """Yield the command lines of a block without prompts; continued lines are joined."""
    if (block.words or ("",))[0] not in SHELLS:
        return
    for line in block.text.replace("\\\n", " ").splitlines():
        yield PROMPT.sub("", line.strip())


def run(page: Path, folder: Path, variables: Mapping[str, str], within_s: float) -> None:
    """Run the marked blocks of a page in order, in one shell; then end all processes that they started."""
    marked = [block for block in blocks(page) if block.runs]
    assert marked, f"{page.name} has no block to run"
    script = folder / "page.sh"
    text = "".join(f"at={shlex.quote(block.place)}\n{block.script(folder)}" for block in marked)
    script.write_text(f"set -eu -o pipefail\ntrap 'echo \"stopped in $at\" >&2' ERR\n{text}")
    log = folder / "page.log"
    with log.open("wb") as said:
        shell = subprocess.Popen(
            ["bash", "-E", script], cwd=folder, env={**os.environ, **variables}, stdout=said, stderr=said,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            code = shell.wait(within_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            end(shell)
    written = sorted({*folder.rglob("*.log"), *Path(variables.get("HOME", folder)).rglob("*.log")})
    logs = "".join(f"\n--- {each.name}\n{each.read_text(errors='replace')[-3000:]}" for each in written)
    assert code == 0, f"{page.name} {'took too long' if code is None else f'ended with {code}'}{logs}"


def end(shell: subprocess.Popen[bytes]) -> None:
    """End the process group of the shell, because daemons that a page starts outlive the shell."""
    try:
        os.killpg(shell.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    shell.wait()
