# SPDX-License-Identifier: Apache-2.0
"""Builds what the tests of the core need from a core with one changed file; everything else is compiled once."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.attack.campaign import SHARED
from firmware.mutate.mutants import SOURCES, Mutant
from firmware.powercut.driver import FIRMWARE, WORKERS, BuildError, core_sources, run

THIRD_PARTY: Final = FIRMWARE / "build" / "third_party"
MONOCYPHER: Final = THIRD_PARTY / "monocypher" / "monocypher.c"
ENGINE: Final = FIRMWARE / "src" / "engine"
INCLUDES: Final = [
    *(FIRMWARE / part for part in ("include", "src", "ports/host", "ports/shared", "powercut")),
    *(ENGINE / "portable", THIRD_PARTY / "monocypher"),
]
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
PORT: Final = [
    *(FIRMWARE / "ports/host" / f"{name}.c" for name in ("flash_model", "host_agent", "host_library")),
    *(FIRMWARE / "ports/shared" / f"{name}.c" for name in ("engines", "stages", "builtins")),
]
ENGINES: Final = [
    *(path for part in (".", "portable", "recurrent") for path in sorted((ENGINE / part).glob("*.c"))),
    *sorted((FIRMWARE / "src" / "learning").glob("*.c")),
]
STAGES: Final = [path for part in ("stage", "operations") for path in sorted((SOURCES / part).glob("*.c"))]
POWERCUT: Final = sorted((FIRMWARE / "powercut").glob("*.c"))
ATTACK: Final = [
    *sorted((FIRMWARE / "attack").glob("*.c")),
    *(FIRMWARE / "powercut" / f"{name}.c" for name in SHARED),
]
CHECK: Final = FIRMWARE / "tests" / "core_check.c"


@dataclass(frozen=True)
class _Way:
    """One way to compile."""

    name: str
    options: tuple[str, ...]


# A variable that a mutant leaves uninitialized holds a pattern, not what the stack happens to hold.
PLAIN: Final = _Way("plain", ("-O2", "-fPIC", "-ftrivial-auto-var-init=pattern"))
SANITIZED: Final = _Way("sanitized", ("-O1", *SANITIZERS))


class Builds:
    """The object files of the unchanged core, and programs that have one of them replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._curves = [SOURCES / "crypto" / f"curve_{name}.c" for name in ("monocypher", "small")]
        self._core = [*core_sources(curve="monocypher"), self._curves[1]]
        plain = [
            *self._core,
            *ENGINES,
            *STAGES,
            *PORT,
            *POWERCUT,
            *ATTACK,
            MONOCYPHER,
            FIRMWARE / "ports/host/flash_model.c",
        ]
        run([sys.executable, FIRMWARE / "tools" / "fetch_third_party.py", "--into", THIRD_PARTY])
        jobs = [(source, PLAIN) for source in dict.fromkeys(plain)]
        jobs += [(source, SANITIZED) for source in (*self.small_core, CHECK)]
        for way in (PLAIN, SANITIZED):
            (folder / way.name).mkdir(parents=True, exist_ok=True)
        texts = [path for path in FIRMWARE.rglob("*.[ch]") if folder not in path.parents]
        newest = max(path.stat().st_mtime for path in (*texts, Path(__file__)))
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(lambda job: self._compile_unless_newer(job[0], job[1], newest), jobs))

    def changed(self, mutant: Mutant, folder: Path) -> Changed | None:
        """Compile a mutant; None: it does not compile, or to the same machine code."""
        text = folder / mutant.source.name
        text.write_bytes(mutant.text)
        target = folder / "plain.o"
        try:
            self._compile(text, PLAIN, target, mutant.source.parent)
        except BuildError:
            return None
        if target.read_bytes() == self._object(mutant.source, PLAIN).read_bytes():
            return None
        return Changed(self, mutant.source, folder)

    def unchanged(self, folder: Path) -> Changed:
        """Return the core as it is."""
        return Changed(self, None, folder)

    def link(self, sources: list[Path], way: _Way, target: Path, changed: Path | None, *options: str) -> Path:
        """Link objects, with that of the changed file in the folder of the target instead of the unchanged one."""
        if not target.exists():
            objects = [
                target.parent / f"{way.name}.o" if source == changed else self._object(source, way)
                for source in sources
            ]
            run(["cc", *way.options, *options, *dict.fromkeys(objects), "-o", target])
        return target

    def sanitize(self, source: Path, folder: Path) -> None:
        """Compile a changed file with the sanitizers, too."""
        if not (folder / "sanitized.o").exists():
            self._compile(folder / source.name, SANITIZED, folder / "sanitized.o", source.parent)

    @property
    def core(self) -> list[Path]:
        """The core with the fast curve."""
        return [source for source in self._core if source != self._curves[1]]

    @property
    def small_core(self) -> list[Path]:
        """The core with the small curve."""
        return [source for source in self._core if source != self._curves[0]]

    def _object(self, source: Path, way: _Way) -> Path:
        part = source.relative_to(FIRMWARE).with_suffix("").as_posix().replace("/", "-")
        return self._folder / way.name / f"{part}.o"

    def _compile_unless_newer(self, source: Path, way: _Way, newest: float) -> None:
        target = self._object(source, way)
        if not target.exists() or target.stat().st_mtime <= newest:
            self._compile(source, way, target)

    def _compile(self, source: Path, way: _Way, target: Path, own_headers: Path | None = None) -> None:
        """Compile; `own_headers` is where the headers of the file are, if it is a copy."""
        headers = [*([own_headers] if own_headers else []), *INCLUDES]
        run(["cc", "-std=c11", "-w", *way.options, *(f"-I{folder}" for folder in headers), "-c", source, "-o", target])


@dataclass(frozen=True)
class Changed:
    """A core with one changed file, and the programs that are linked from it when they are needed."""

    builds: Builds
    source: Path | None
    folder: Path

    def driver(self, name: str) -> Path:
        """Return the driver of a campaign: attack or powercut."""
        sources = [*self.builds.core, *ENGINES, *(ATTACK if name == "attack" else POWERCUT), PORT[0], MONOCYPHER]
        return self.builds.link(sources, PLAIN, self.folder / name, self.source, "-Wl,--wrap=tf_curve_check")

    def library(self) -> Path:
        """Return the library that the tests load."""
        sources = [*self.builds.core, *ENGINES, *STAGES, *PORT, MONOCYPHER]
        target = self.folder / "libtinyfleet-host.so"
        return self.builds.link(sources, PLAIN, target, self.source, "-shared")

    def checks(self) -> None:
        """Build the program that runs the modules one by one."""
        if self.source is not None:
            self.builds.sanitize(self.source, self.folder)
        sources = [*self.builds.small_core, CHECK]
        self.builds.link(sources, SANITIZED, self.folder / "core-check-small", self.source)
