# SPDX-License-Identifier: Apache-2.0
"""Plays scripts with the driver, which cuts the power, and hunts for seeded bugs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.powercut.driver import FIRMWARE, Bug, Workshop
from firmware.powercut.scripts import FLASHES, LEARNING_SCRIPTS, SCRIPTS, Flash, write_script

# A run takes seconds. A core that hangs counts as one that does not start.
TIMEOUT_S: Final = 300
# During a hunt: a core that hangs is a bug found.
HUNT_TIMEOUT_S: Final = 20
_FIGURE: Final = re.compile(r"(\w+)=(\d+)")


@dataclass(frozen=True)
class Tally:
    """The counts of the driver, and the first problems that it found."""

    cuts: int = 0
    torn: int = 0
    recoveries: int = 0
    bricks: int = 0
    resent_blocks_max: int = 0
    problems: tuple[str, ...] = ()
    learn_cuts: int = 0  # of these cuts, those while a device learns

    def __add__(self, other: Tally) -> Tally:
        """Add up two tallies."""
        return Tally(
            self.cuts + other.cuts,
            self.torn + other.torn,
            self.recoveries + other.recoveries,
            self.bricks + other.bricks,
            max(self.resent_blocks_max, other.resent_blocks_max),
            self.problems + other.problems,
            self.learn_cuts + other.learn_cuts,
        )


@dataclass(frozen=True)
class Run:
    """One script on one kind of flash: cuts per path, and in how many ways the first and the later ones tear."""

    script: str
    flash: Flash
    depth: int = 2
    torn_first: int = 2
    torn_later: int = 1

    @property
    def name(self) -> str:
        """Script and flash."""
        return f"{self.script} on {self.flash.name}"


def all_runs() -> list[Run]:
    """Return the whole campaign, starting with large flash, which takes longest."""
    return [Run(script, flash) for flash in reversed(FLASHES) for script in SCRIPTS]


def hunting_runs() -> Iterator[Run]:
    """Return the runs that must reveal a bug.

    Single cuts in every script, and in an update and a lesson on flash with erase units of two sizes; second cuts where
    blocks are repaired and where a log of samples begins.
    """
    small, larger, mixed = FLASHES[1], FLASHES[2], FLASHES[4]
    for script in SCRIPTS:
        yield Run(script, small, depth=1)
    yield Run("update", mixed, depth=1)
    yield Run("learn", mixed, depth=1)
    for flash in (small, larger):
        yield Run("update", flash)
    yield Run("samples", small)


class Campaign:
    """The driver, built once, and the scripts, written once, in a folder of the build."""

    def __init__(self, folder: Path) -> None:
        self.workshop = Workshop(folder, sorted((FIRMWARE / "powercut").glob("*.c")))
        self.program = self.workshop.program()
        self._scripts = folder / "scripts"
        self._scripts.mkdir(exist_ok=True)

    def play(self, run: Run) -> Tally:
        """Play one script with the unchanged core."""
        done = self._drive(self.program, run, TIMEOUT_S)
        *problems, counts = done.stdout.splitlines() or [""]
        figures = {name: int(value) for name, value in _FIGURE.findall(counts)}
        if done.returncode not in {0, 1} or "cuts" not in figures:
            return Tally(bricks=1, problems=(f"{run.name}: the driver died: {done.returncode} {done.stderr}",))
        found = tuple(f"{run.name}, {problem}" for problem in problems)
        return Tally(**figures, problems=found, learn_cuts=figures["cuts"] if run.script in LEARNING_SCRIPTS else 0)

    def hunt(self, bug: Bug) -> str | None:
        """Return how this bug was found, or None."""
        program = self.workshop.mutant(bug)
        for run in hunting_runs():
            try:
                done = self._drive(program, run, HUNT_TIMEOUT_S, "stop")
            except subprocess.TimeoutExpired:
                return f"{run.name}: it hangs"
            if done.returncode:
                return f"{run.name}, {(done.stdout.splitlines() or [f'it dies: {done.returncode}'])[0]}"
        return None

    def _drive(self, program: Path, run: Run, timeout_s: float, *more: str) -> subprocess.CompletedProcess[str]:
        depths = [str(run.depth), str(run.torn_first), str(run.torn_later)]
        command: list[str | Path] = [program, self._script(run), *depths, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout_s)

    def _script(self, run: Run) -> Path:
        """Write a script unless it exists: each one gets fresh keys, and threads share the files."""
        path = self._scripts / f"{run.script}-{run.flash.file_name}.txt"
        if not path.exists():
            written = path.with_suffix(f".{id(run)}")
            written.write_text(write_script(run.script, run.flash))
            written.replace(path)
        return path
