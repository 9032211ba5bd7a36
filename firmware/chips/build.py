# SPDX-License-Identifier: Apache-2.0
"""Builds the firmware of a chip, and mutants of it with one bug in a driver.

A bug is a patch in `bugs/`: first the reason why it is fatal, then a change to one file of a port. For a mutant, only
that file is compiled, and everything is linked again, with the commands of the unchanged build.
"""

from __future__ import annotations

import fcntl
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from firmware.powercut.driver import FIRMWARE, Bug, BuildError, read_bug, run

BUGS: Final = Path(__file__).with_name("bugs")
_ELF: Final = "tinyfleet.elf"


def build(preset: str) -> Path:
    """Build one preset, and return its firmware. Builds of the same preset take turns."""
    folder = FIRMWARE / "build"
    folder.mkdir(exist_ok=True)
    with (folder / f".{preset}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        arguments: list[str | Path] = ["-S", FIRMWARE, "--preset", preset, f"-DPython3_EXECUTABLE={sys.executable}"]
        run(["cmake", *arguments])
        run(["cmake", "--build", folder / preset, "--target", "firmware"])
    return folder / preset / _ELF


def driver_bugs(folder: str) -> list[Bug]:
    """Return the bugs of the drivers in a folder of firmware/ports, sorted by name."""
    bugs = [read_bug(patch, within=FIRMWARE / "ports") for patch in sorted(BUGS.glob("*.patch"))]
    return [bug for bug in bugs if bug.source.parent.name == folder]


def mutant(elf: Path, bug: Bug, folder: Path) -> Path:
    """Return firmware with a bug, made in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    changed, compiled, linked = folder / bug.source.name, folder / "changed.o", folder / _ELF
    shutil.copy(bug.source, changed)
    run(["patch", "--quiet", changed, bug.patch])
    listing = subprocess.run(
        ["ninja", "-C", elf.parent, "-t", "commands", _ELF], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    compile_line = next(line for line in listing if line.endswith(f" -c {bug.source}"))
    link_line = listing[-1].removeprefix(": && ").removesuffix(" && :")
    words = shlex.split(compile_line)
    instead = {
        str(bug.source): str(changed),
        words[words.index("-o") + 1]: str(compiled),  # also among what is linked
        _ELF: str(linked),
    }
    for line in (compile_line, link_line):
        command = [instead.get(word, word) for word in shlex.split(line) if not word.startswith("-Wl,-Map=")]
        _run_in(elf.parent, command)
    return linked


def _run_in(folder: Path, command: list[str]) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
