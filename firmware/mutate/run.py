# SPDX-License-Identifier: Apache-2.0
"""`make mutate-firmware`: change the core in one place at a time, and expect a test or a campaign to notice.

Each mutant is compiled into what the tests use. They run up to the first that fails: for envelopes and packs their
vectors under the sanitizers, then the tests that are closest to the changed file, a short attack from the link, power
cuts, and the tests of the whole core. A mutant that survives all of them is an error, unless `survivors.toml` says why
it does no harm.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from itertools import chain, product
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from firmware.attack import campaign as attack
from firmware.mutate.build import INCLUDES, Builds, Changed
from firmware.mutate.mutants import SOURCES, Mutant, mutants
from firmware.mutate.progress import Progress, Result
from firmware.powercut import scripts as powercut
from firmware.powercut.driver import FIRMWARE, drive
from tests.firmware import test_core_packs, test_core_vectors
from tests.firmware.core_process import CoreProcess

FOLDER: Final = FIRMWARE / "build" / "mutate"
SURVIVORS: Final = Path(__file__).with_name("survivors.toml")
# What a start chooses, what updates, what is stored, and what is read from outside.
PARTS: Final = ("boot.c", "update", "store", "message.c", "agent.c", "envelope", "model")
# The tests of the vectors of a folder: those of a module whose names begin so.
VECTORS: Final = {"envelope": (test_core_vectors, "test_envelope"), "model": (test_core_packs, "test_")}
JOBS: Final = 2
# A mutant that never ends counts as noticed; the unchanged core takes a tenth of this.
DRIVER_CPU_S: Final = 4
VECTORS_CPU_S: Final = 8
FIRST_CPU_S: Final = 6
CORE_CPU_S: Final = 25
CORE_TESTS: Final = (
    *("orders", "trials", "limits", "says", "attacks", "journal", "geometry", "identity", "watchdog"),
    *("samples", "learning", "rotation", "models", "stage", "operations", "engine_agent"),
)
# The tests that most likely notice a change of a file run before the campaigns.
MOST_EFFECTIVE: Final = {
    "boot.c": "trials",
    "offer.c": "orders",
    "rotate.c": "rotation",
    "phase.c": "orders",
    "staging.c": "orders",
    "trial.c": "trials",
    "transfer.c": "attacks",
    "message.c": "says",
    "agent.c": "says",
    "model.c": "trials",
    "journal.c": "journal",
    "geometry.c": "geometry",
    "identity.c": "identity",
}
SLOW: Final = "not thousand"  # what the short attack covers
QUICK: Final = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
_TESTS: Final = FIRMWARE.parent / "tests" / "firmware"


# ------------------------------------------------------------------ what may notice


def _by_attack(changed: Changed) -> bool:
    program = changed.driver("attack")
    scripts = [FOLDER / f"attack-{number}.txt" for number in (1, 3)]
    return any(drive([program, script, "1", "60", "400"], DRIVER_CPU_S).returncode for script in scripts)


def _by_powercut(changed: Changed) -> bool:
    program = changed.driver("powercut")
    scripts = [FOLDER / f"{name}.txt" for name in powercut.SCRIPTS]
    return any(drive([program, script, "1", "1", "1", "stop"], DRIVER_CPU_S).returncode for script in scripts)


def _fails(run: Callable[[], int], cpu_s: int) -> bool:
    """Run tests in a process of their own, which the mutant may crash or hang."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            os._exit(run())
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return status != 0


def _tested(changed: Changed, names: Sequence[str], cpu_s: int) -> bool:
    return _fails(partial(_run_tests, changed, names), cpu_s)


def _run_tests(changed: Changed, names: Sequence[str]) -> int:
    os.environ["TINYFLEET_FIRMWARE_BUILT"] = str(changed.folder)
    return pytest.main([*QUICK, "-k", SLOW, *_files(names)])


def _files(names: Sequence[str]) -> list[str]:
    found = ((_TESTS / f"test_core_{name}.py", _TESTS / f"test_{name}.py") for name in names)
    return [str(core if core.exists() else other) for core, other in found]


def _import_tests() -> None:
    """Import all tests and what they need once, for all the processes that run them."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        pytest.main([*QUICK, "--collect-only", *_files(CORE_TESTS)])


def _first(changed: Changed) -> str | None:
    return MOST_EFFECTIVE.get(changed.source.name) if changed.source is not None else None


def _by_first_tests(changed: Changed) -> bool:
    first = _first(changed)
    if first is None:
        return False
    changed.library()
    return _tested(changed, (first,), FIRST_CPU_S)


def _by_core_tests(changed: Changed) -> bool:
    changed.library()
    return _tested(changed, [name for name in CORE_TESTS if name != _first(changed)], CORE_CPU_S)


def vector_tests(module: ModuleType, prefix: str) -> Iterator[Callable[..., None]]:
    """Yield the tests of a module with such names, one for each vector. pytest would take ten times as long."""
    for name, test in vars(module).items():
        if name.startswith(prefix):
            marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
            for chosen in product(*(_arguments(*mark.args) for mark in marks)):
                yield partial(test, **dict(chain.from_iterable(chosen)))


def _arguments(names: str | Sequence[str], values: Iterable[Any]) -> list[list[tuple[str, Any]]]:
    """Return the arguments of each set of values of a mark."""
    if isinstance(names, str):
        return [[(names, value)] for value in values]
    return [list(zip(names, value, strict=True)) for value in values]


def _by_vectors(changed: Changed) -> bool:
    parts = VECTORS.values() if changed.source is None else [VECTORS.get(changed.source.parent.name)]
    tests = [test for part in parts if part is not None for test in vector_tests(*part)]
    if not tests:
        return False
    changed.checks()

    def run() -> int:
        core = CoreProcess(changed.folder / "core-check-small")
        for test in tests:
            test(core)
        core.close()
        return 0

    return _fails(run, VECTORS_CPU_S)


STAGES: Final[Sequence[tuple[str, Callable[[Changed], bool]]]] = (
    ("vectors", _by_vectors),
    ("first tests", _by_first_tests),
    ("attack", _by_attack),
    ("powercut", _by_powercut),
    ("core tests", _by_core_tests),
)


def _judge(mutant: Mutant, builds: Builds) -> Result:
    with tempfile.TemporaryDirectory(dir=FOLDER) as place:
        changed = builds.changed(mutant, Path(place))
        if changed is None:
            return Result(mutant, valid=False, noticed=None)
        noticed = next((name for name, notices in STAGES if notices(changed)), None)
        return Result(mutant, valid=True, noticed=noticed)


# ------------------------------------------------------------------ the run


def harmless() -> dict[str, str]:
    """Return the reason of each mutant that may survive."""
    entries = tomllib.loads(SURVIVORS.read_text())["harmless"]
    return {mutant: entry["reason"] for entry in entries for mutant in entry["mutants"]}


def all_mutants(parts: Sequence[str] = PARTS) -> Iterator[Mutant]:
    """Yield the mutants of these files and folders of the core."""
    for part in parts:
        place = SOURCES / part
        for source in [place] if place.is_file() else sorted(place.rglob("*.c")):
            yield from mutants(source, INCLUDES)


def main() -> int:
    """Print what survives without a reason, and the figures as the last lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help="files or folders of firmware/src")
    parser.add_argument("--verbose", action="store_true", help="show what noticed each mutant")
    parser.add_argument("--jobs", type=int, default=JOBS, help="mutants at a time")
    parser.add_argument("--resume", action="store_true", help="keep what the last run found, except for survivors")
    chosen = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    _import_tests()
    builds = Builds(FOLDER)
    for number, flash in enumerate(powercut.FLASHES):
        (FOLDER / f"attack-{number}.txt").write_text(attack.write_script(flash))
    for name in powercut.SCRIPTS:
        (FOLDER / f"{name}.txt").write_text(powercut.write_script(name, powercut.FLASHES[1]))
    with tempfile.TemporaryDirectory(dir=FOLDER) as place:
        untouched = builds.unchanged(Path(place))
        failing = [name for name, notices in STAGES if notices(untouched)]
    if failing:
        print(f"these fail with the unchanged core, so mutants prove nothing: {', '.join(failing)}")
        return 2
    progress = Progress(FOLDER / "results.jsonl", resume=chosen.resume)
    trials = list(all_mutants(chosen.parts))
    results = [result for result in map(progress.earlier, trials) if result is not None]
    known = {result.mutant for result in results}
    left = [mutant for mutant in trials if mutant not in known]
    with multiprocessing.get_context("fork").Pool(chosen.jobs) as pool:
        for result in pool.imap_unordered(partial(_judge, builds=builds), left):
            progress.record(result)
            results.append(result)
            if chosen.verbose and result.valid:
                print(f"{result.noticed or 'SURVIVED'}: {result.mutant}", flush=True)
    return _conclude(results, whole=tuple(chosen.parts) == PARTS)


def _conclude(results: list[Result], *, whole: bool) -> int:
    accepted = harmless()
    valid = [result for result in results if result.valid]
    survivors = [result.mutant for result in valid if result.noticed is None]
    unexplained = [mutant for mutant in survivors if mutant.name not in accepted]
    stale = set(accepted) - {mutant.name for mutant in survivors} if whole else set()
    for mutant in unexplained:
        print(f"survived: {mutant}")
    for name in sorted(stale):
        print(f"has a reason to survive, but does not: {name}")
    print(f"mutants={len(valid)} killed={len(valid) - len(survivors)} harmless={len(survivors) - len(unexplained)}")
    print(f"survivors={len(unexplained)}")
    return 1 if unexplained or stale else 0
