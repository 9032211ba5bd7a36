# SPDX-License-Identifier: Apache-2.0
"""Removes each check of a package, one at a time, and verifies that a test fails.

There are three kinds of mutants, chosen for code that validates input:
- a check that never fails: `require(x, …)` with `x or True`, and `if x: raise …` with `x and False`;
- a limit that is off by one, in the condition of such a check: `<=` for `<`, `>` for `>=`, and so on;
- a missing call, of those whose result is unused (`reader.end()`, `_check_target(…)`).

Each mutant runs in its own process on a copy of the package and its tests; the tree is not changed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

ALSO_COPIED = ("pyproject.toml", "docs/specs", "systemd", "tests/vectors")
OFF_BY_ONE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
# Only a power cut, a crash or a leak would show that these are missing, which tests in one process cannot cause.
BEYOND_TESTS = {"fsync", "_sync_directory", "flush", "close"}


Change = Callable[[Any], None]  # its argument has the type of the node that it applies to


@dataclass(frozen=True)
class Mutant:
    """One changed source file."""

    file: str
    line: int
    change: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}"


def mutants(package: Path) -> Iterator[Mutant]:
    """Yield all mutants of all modules."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for number, node in enumerate(ast.walk(tree)):
            for description, change in _changes(node):
                changed = copy.deepcopy(tree)
                change(list(ast.walk(changed))[number])
                source = ast.unparse(ast.fix_missing_locations(changed))
                line = getattr(node, "lineno", 0)
                yield Mutant(str(path.relative_to(package.parent)), line, description, source)


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield the changes that apply to this node."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="require"), args=[condition, *_])):
            yield f"never refuses: {ast.unparse(condition)}", _always_holds
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))) if name not in BEYOND_TESTS:
            yield f"left out: {ast.unparse(node)}", _left_out
        case ast.If(test=condition, body=[ast.Raise()]):
            yield f"never raises: {ast.unparse(condition)}", _never_holds
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                if type(operator) in OFF_BY_ONE:
                    yield f"off by one: {ast.unparse(node)}", partial(_off_by_one, place=place)
        case _:
            pass


def _always_holds(node: ast.Expr) -> None:
    call = cast("ast.Call", node.value)
    call.args[0] = ast.BoolOp(ast.Or(), [call.args[0], ast.Constant(value=True)])


def _never_holds(node: ast.If) -> None:
    node.test = ast.BoolOp(ast.And(), [node.test, ast.Constant(value=False)])


def _left_out(node: ast.Expr) -> None:
    node.value = ast.Constant(value=None)


def _off_by_one(node: ast.Compare, place: int) -> None:
    node.ops[place] = OFF_BY_ONE[type(node.ops[place])]()


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
    all_mutants = list(mutants(chosen.package))
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
