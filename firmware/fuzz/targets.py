# SPDX-License-Identifier: Apache-2.0
"""Builds the fuzz targets with clang and the address and undefined-behaviour sanitizers, and runs them."""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.fuzz.seeds import REGION, SEEDS, write_seeds
from firmware.powercut.driver import FIRMWARE, WARNINGS, WORKERS, core_sources, locked, run

TARGETS: Final = tuple(SEEDS)
SANITIZERS: Final = "address,undefined"
# on top of the time of a target, to start and to shut down
GRACE_S: Final = 120
_HERE: Final = Path(__file__).resolve().parent
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_MAX_BYTES: Final = {"messages": 8192, "stage": 4096, "operations": 4096, "pack": 8192, "patch": 8192, "mqtt": 4096}
_MAX_BYTES_USUALLY: Final = 1024


@dataclass(frozen=True)
class Outcome:
    """The result of a target: inputs tried, and the fuzzer's output when one crashed it."""

    target: str
    executions: int
    crash: str | None


class Fuzzers:
    """All targets, built in a folder of the build, with the seeds and the corpus that the fuzzers kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        third_party = FIRMWARE / "build" / "third_party"
        engine = FIRMWARE / "src" / "engine"
        self._headers = [
            *(FIRMWARE / part for part in ("include", "src", "ports/host", "ports/shared", "fuzz")),
            *(engine / "portable", third_party / "monocypher", FIRMWARE / "network" / "mqtt"),
        ]
        stages = [path for part in ("stage", "operations") for path in sorted((FIRMWARE / "src" / part).glob("*.c"))]
        engines = [path for part in (".", "portable", "recurrent") for path in sorted((engine / part).glob("*.c"))]
        engines += sorted((FIRMWARE / "src" / "learning").glob("*.c"))
        ports = [FIRMWARE / "ports/host" / f"{name}.c" for name in ("flash_model", "host_agent")]
        shared = [_HERE / f"{name}.c" for name in ("any_signature", "bytes_in_flash", "fuzz_device", "fuzz_session")]
        shared += [FIRMWARE / "ports/shared" / f"{name}.c" for name in ("engines", "stages", "builtins")]
        shared += [FIRMWARE / "network" / "mqtt" / "mqtt.c"]
        with locked(folder), ThreadPoolExecutor(WORKERS) as pool:
            objects = list(pool.map(self._compile, [*core_sources(curve=None), *stages, *engines, *ports, *shared]))
            list(pool.map(lambda target: self._link(target, objects), TARGETS))
            write_seeds(folder)

    def fuzz(self, target: str, seconds: int) -> Outcome:
        """Fuzz for some time. With 0 seconds, run only the seeds and the kept corpus."""
        kept = self.folder / "kept" / target
        kept.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [
            *(self.folder / target, f"-max_len={_MAX_BYTES.get(target, _MAX_BYTES_USUALLY)}"),
            *("-print_final_stats=1", "-timeout=20", f"-artifact_prefix={self.folder}/crash-{target}-"),
            *([f"-max_total_time={seconds}"] if seconds else ["-runs=0"]),
            *(kept, self.folder / "seeds" / target),
        ]
        environment = {**os.environ, "TINYFLEET_FUZZ_REGION": str(self.folder / REGION)}
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, env=environment,
            timeout=seconds + GRACE_S,
        )  # fmt: skip
        executions = _EXECUTIONS.search(done.stderr)
        crash = None if done.returncode == 0 else done.stderr[-3000:]
        return Outcome(target, int(executions[1]) if executions else 0, crash)

    def _compile(self, source: Path) -> Path:
        target = self.folder / f"{source.parent.name}-{source.stem}.o"
        run(self._command(f"fuzzer-no-link,{SANITIZERS}", source, "-c", "-o", target))
        return target

    def _link(self, target: str, objects: list[Path]) -> None:
        source = _HERE / f"fuzz_{target}.c"
        run(self._command(f"fuzzer,{SANITIZERS}", source, *objects, "-o", self.folder / target))

    def _command(self, sanitizers: str, *rest: str | Path) -> list[str | Path]:
        return [
            *("clang", "-std=c11", "-O1", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", *WARNINGS),
            *(f"-I{folder}" for folder in self._headers),
            *rest,
        ]


def fuzz_all(folder: Path, seconds: int) -> list[Outcome]:
    """Fuzz every target for this long, one per core at a time."""
    fuzzers = Fuzzers(folder)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda target: fuzzers.fuzz(target, seconds), TARGETS))
