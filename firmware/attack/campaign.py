# SPDX-License-Identifier: Apache-2.0
"""Lets an attacker on the link loose on a device, and hunts for seeded bugs that only such an attacker reveals."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.powercut.driver import FIRMWARE, Bug, Workshop, drive
from firmware.powercut.scripts import FLASHES, GOLDEN, Flash, Part, Script
from reconciler.model import PayloadEncoding
from tests.firmware.bench import make_pack

CPU_S: Final = 300
# During a hunt: a core that hangs is a bug found.
HUNT_CPU_S: Final = 30
SEEDS_OF_A_HUNT: Final = 1000
MESSAGES: Final = 500
# The attack sends other messages; the rest of the simulation is that of the power cuts.
SHARED: Final = ("gateway", "known_checks", "lessons", "samples", "script", "simulation")
_FIGURE: Final = re.compile(r"(\w+)=(\d+)")


def write_script(flash: Flash) -> str:
    """Return a script with an envelope of each kind for the attacker, and one update for afterwards."""
    oversized = make_pack(8, inputs=flash.slot_bytes // 4, vectors=4)  # a pre-baked pack may be larger than a slot
    small = make_pack(11, inputs=24)  # leaves room for a payload of many blocks
    script = Script(flash, more_prebaked=(oversized,))
    script.install(Part.SETUP, script.one)
    script.install(Part.SETUP, script.two)
    for _ in range(2):  # an envelope that was skipped is never accepted later
        script.hold(script.three)
        script.hold(script.patched, PayloadEncoding.PATCH)
        script.hold(script.failing, expect=GOLDEN)
        script.hold(oversized[: flash.slot_bytes + flash.large])
        script.hold(small)
        script.hold_values(script.two, 7)
        script.hold(script.failing, expect=GOLDEN)
        script.hold(script.one, None)
        script.hold(script.patched, PayloadEncoding.HEATSHRINK)
        script.hold(script.prebaked[1], None)
    script.install(Part.AFTER, make_pack(5, inputs=flash.inputs))
    return script.text


@dataclass(frozen=True)
class Tally:
    """The counts of the driver, and the first breach on each flash."""

    messages: int = 0
    accepted: int = 0
    cuts: int = 0
    breaches: int = 0
    erases_per_envelope_max: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        """Add up two tallies."""
        return Tally(
            self.messages + other.messages,
            self.accepted + other.accepted,
            self.cuts + other.cuts,
            self.breaches + other.breaches,
            max(self.erases_per_envelope_max, other.erases_per_envelope_max),
            self.problems + other.problems,
        )


@dataclass(frozen=True)
class Seeds:
    """Which attacks to play: a seed decides all that the attacker does."""

    first: int
    count: int


class Attacks:
    """The driver, built once, and a script for each kind of flash, in a folder of the build."""

    def __init__(self, folder: Path) -> None:
        powercut = FIRMWARE / "powercut"
        driver = [*sorted((FIRMWARE / "attack").glob("*.c")), *(powercut / f"{name}.c" for name in SHARED)]
        self.workshop = Workshop(folder, driver)
        self.program = self.workshop.program()
        self._scripts = {flash: folder / f"{flash.file_name}.txt" for flash in FLASHES}
        for flash, path in self._scripts.items():
            path.write_text(write_script(flash))

    def play(self, flash: Flash, seeds: Seeds) -> Tally:
        """Attack the unchanged core on one kind of flash."""
        done = self._drive(self.program, flash, seeds, CPU_S)
        *problems, counts = done.stdout.splitlines() or [""]
        figures = {name: int(value) for name, value in _FIGURE.findall(counts)}
        if done.returncode not in {0, 1} or "messages" not in figures:
            return Tally(breaches=1, problems=(f"{flash.name}: the driver died: {done.returncode} {done.stderr}",))
        return Tally(**figures, problems=tuple(f"{flash.name}, {problem}" for problem in problems))

    def hunt(self, bug: Bug) -> str | None:
        """Return how this bug was found, or None."""
        program = self.workshop.mutant(bug)
        for flash in FLASHES:
            done = self._drive(program, flash, Seeds(1, SEEDS_OF_A_HUNT), HUNT_CPU_S)
            if done.returncode:
                return f"{flash.name}, {(done.stdout.splitlines() or [f'it dies or hangs: {done.returncode}'])[0]}"
        return None

    def _drive(self, program: Path, flash: Flash, seeds: Seeds, cpu_s: int) -> subprocess.CompletedProcess[str]:
        return drive([program, self._scripts[flash], str(seeds.first), str(seeds.count), str(MESSAGES)], cpu_s)
