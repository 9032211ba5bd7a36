# SPDX-License-Identifier: Apache-2.0
"""Removes each check of a package, one at a time, and verifies that a test fails.

tools/mutation.py has the changes. Each mutant runs in its own process on a copy of the package and its tests; the tree
is not changed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from tools.mutation import Mutant, mutants, validation_changes

ALSO_COPIED = ("pyproject.toml", "docs/specs", "systemd", "tests/vectors")


def survives(mutant: Mutant | None, package: Path, tests: Path, first: list[Path]) -> bool:
    """Run the tests on a copy with this mutant; return whether they all pass."""
    with tempfile.TemporaryDirectory() as workplace:
        for part in (package, tests, *map(Path, ALSO_COPIED)):
            target = Path(workplace) / part
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(part, target) if part.is_dir() else shutil.copy(part, target)
        if mutant is not None:
            (Path(workplace) / mutant.file).write_text(mutant.source, encoding="utf-8")
        os.chdir(workplace)
        sys.path.insert(0, workplace)
        own = [] if mutant is None else [tests / f"test_{Path(mutant.file).name}"]
        parts = [part for part in (*own, *first, tests) if part.exists()]  # the most effective tests first
        quick = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"]
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            return all(pytest.main([*quick, str(part)]) == pytest.ExitCode.OK for part in parts)


def main() -> int:
    """Print the survivors, and their number as the last line."""
    parser = argparse.ArgumentParser(description="Remove each check in turn, and expect a test to fail.")
    parser.add_argument("package", type=Path)
    parser.add_argument("tests", type=Path)
    parser.add_argument("--first", type=Path, action="append", default=[], help="effective tests to run first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    modules = sorted(chosen.package.rglob("*.py"))
    all_mutants = [each for path in modules for each in mutants(path, chosen.package.parent, validation_changes)]
    survived = partial(survives, package=chosen.package, tests=chosen.tests, first=chosen.first)
    # Each mutant needs a new process, because a process imports a module only once.
    with multiprocessing.get_context("fork").Pool(chosen.jobs, maxtasksperchild=1) as pool:
        if not pool.apply(survived, [None]):
            sys.stdout.write("the tests fail on the unchanged package, so mutants prove nothing\n")
            return 2
        verdicts = pool.map(survived, all_mutants, chunksize=1)
    survivors = [mutant for mutant, passed in zip(all_mutants, verdicts, strict=True) if passed]
    for survivor in survivors:
        sys.stdout.write(f"survived: {survivor}\n")
    sys.stdout.write(f"mutants={len(all_mutants)}\nsurvivors={len(survivors)}\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
