# SPDX-License-Identifier: Apache-2.0
"""Builds the driver of a campaign (powercut, attack) from the core's sources, or from mutations of them.

A mutation changes one file of the core, so all other files are compiled once.
"""

from __future__ import annotations

import fcntl
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

FIRMWARE: Final = Path(__file__).resolve().parent.parent
BUGS: Final = FIRMWARE / "bugs"
WORKERS: Final = 2
# every warning that both compilers have; firmware/CMakeLists.txt lists the same
WARNINGS: Final = (
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wvla",
    "-Wundef",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Werror",
)


class BuildError(Exception):
    """The driver can't be built. The message says why."""


def run(command: list[str | Path]) -> None:
    """Run a tool of the build."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def drive(command: Sequence[str | Path], cpu_s: int) -> subprocess.CompletedProcess[str]:
    """Run a driver, which is killed when it has used this much time of a processor: on any machine, however busy."""
    limit = partial(resource.setrlimit, resource.RLIMIT_CPU, (cpu_s, cpu_s))
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for other builds in the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Bug:
    """A mutation stored as a patch: why it is fatal, and which file it changes."""

    name: str
    reason: str
    patch: Path
    source: Path


def read_bug(patch: Path, within: Path = FIRMWARE / "src") -> Bug:
    """Read a patch file: first the reason, then a change to one file of the core, or of another folder."""
    reason, marker, change = patch.read_text().partition("--- a/")
    source = FIRMWARE.parent / change.split("\n", 1)[0].split("\t", 1)[0]
    if not marker or not reason.strip() or within not in source.parents:
        raise BuildError(
            f"{patch.name}: expected a reason, then a change to one file in {within.relative_to(FIRMWARE.parent)}"
        )
    return Bug(patch.stem, " ".join(reason.split()), patch, source)


def read_bugs(*, link: bool) -> list[Bug]:
    """Read the bugs that attacks on the link reveal, or those that power cuts reveal, sorted by name."""
    return [read_bug(patch) for patch in sorted(BUGS.glob("*.patch")) if patch.name.startswith("link-") is link]


def core_sources(*, curve: str | None) -> list[Path]:
    """Return the agent's C files without engines, stages, operations and learning, and with one curve, or with none."""
    source = FIRMWARE / "src"
    apart = {source / "engine", source / "stage", source / "operations", source / "learning"}
    core = [path for path in sorted(source.rglob("*.c")) if apart.isdisjoint(path.parents)]
    return [path for path in core if not path.name.startswith("curve_") or path.stem == f"curve_{curve}"]


def learning_sources() -> list[Path]:
    """Return the part that grows forests, and what it needs of their engine."""
    source = FIRMWARE / "src"
    engine = [source / "engine" / f"{name}.c" for name in ("features", "forest", "io", "trees")]
    return [*sorted((source / "learning").glob("*.c")), *engine]


class Workshop:
    """A folder with the object files of the unchanged core and of a driver."""

    def __init__(self, folder: Path, driver: Sequence[Path]) -> None:
        self.folder = folder
        self._driver = driver
        self._third_party = FIRMWARE / "build" / "third_party"

    def program(self) -> Path:
        """Build the driver with the unchanged core."""
        with locked(self.folder):
            run([sys.executable, FIRMWARE / "tools" / "fetch_third_party.py", "--into", self._third_party])
            with ThreadPoolExecutor(WORKERS) as pool:
                objects = list(pool.map(self._compile, self._sources()))
            return self._link(objects, self.folder / "driver")

    def mutant(self, bug: Bug) -> Path:
        """Build the driver with a core that has this bug. Call `program` first."""
        folder = self.folder / "bugs" / bug.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        changed = folder / bug.source.name
        shutil.copy(bug.source, changed)
        run(["patch", "--quiet", "--fuzz=3", changed, bug.patch])
        broken = self._compile_into(changed, folder / f"{bug.source.stem}.o", warnings=False)
        objects = [self._object(source) for source in self._sources() if source != bug.source]
        return self._link([*objects, broken], folder / "driver")

    def _sources(self) -> list[Path]:
        return [
            *core_sources(curve="monocypher"),
            *learning_sources(),
            *self._driver,
            FIRMWARE / "ports/host/flash_model.c",
            self._third_party / "monocypher/monocypher.c",
        ]

    def _object(self, source: Path) -> Path:
        part = "core-" if FIRMWARE / "src" in source.parents else ""
        return self.folder / f"{part}{source.parent.name}-{source.stem}.o"

    def _compile(self, source: Path) -> Path:
        return self._compile_into(source, self._object(source), warnings=self._third_party not in source.parents)

    def _compile_into(self, source: Path, target: Path, *, warnings: bool) -> Path:
        headers = [FIRMWARE / "include", FIRMWARE / "src", FIRMWARE / "powercut", FIRMWARE / "ports/host"]
        run(
            [
                *("cc", "-std=c11", "-O2", *(WARNINGS if warnings else ["-w"])),
                *(f"-I{folder}" for folder in headers),
                *("-isystem", self._third_party / "monocypher", "-c", source, "-o", target),
            ]
        )
        return target

    def _link(self, objects: list[Path], target: Path) -> Path:
        run(["cc", "-Wl,--wrap=tf_curve_check", *objects, "-o", target])
        return target
