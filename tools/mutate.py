# SPDX-License-Identifier: Apache-2.0
"""Takes each check of a package out, one at a time, and shows that a test fails.

Three kinds of mutants, chosen for code that refuses things:
- a check that never refuses: `require(x, …)` with `x or True`, and `if x: raise …` with `x and False`;
- a limit that is off by one, in the condition of such a check: `<=` for `<`, `>` for `>=`, and so on;
- a call made for its effect alone (`reader.end()`, `_check_target(…)`) left out.

Each mutant runs in a process of its own on a copy of the package and its tests; nothing in the tree is touched.
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
# Only a power cut, a crash or a leak could tell that these were left out; tests of one process can't.
BEYOND_TESTS = {"fsync", "_sync_directory", "flush", "close"}


Change = Callable[[Any], None]  # takes the kind of node that it was found for


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
    """Every mutant of every module."""
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
    """What can be changed in this node itself."""
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
    """Run the tests on a copy with this mutant in it; true when none of them fails."""
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
        parts = [part for part in (*own, *first, tests) if part.exists()]  # what finds most comes first
        quick = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0"]
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            return all(pytest.main([*quick, str(part)]) == pytest.ExitCode.OK for part in parts)


def main() -> int:
    """Print the survivors, and as the last line how many there are."""
    parser = argparse.ArgumentParser(description="Take each check out and see a test fail.")
    parser.add_argument("package", type=Path)
    parser.add_argument("tests", type=Path)
    parser.add_argument("--first", type=Path, action="append", default=[], help="tests that are quick and find most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    all_mutants = list(mutants(chosen.package))
    judge = partial(survives, package=chosen.package, tests=chosen.tests, first=chosen.first)
    # One process for each mutant: modules are imported once in a process.
    with multiprocessing.get_context("fork").Pool(chosen.jobs, maxtasksperchild=1) as pool:
        if not pool.apply(judge, [None]):
            sys.stdout.write("the tests fail on the unchanged package: nothing can be shown\n")
            return 2
        verdicts = pool.map(judge, all_mutants, chunksize=1)
    survivors = [mutant for mutant, survived in zip(all_mutants, verdicts, strict=True) if survived]
    for survivor in survivors:
        sys.stdout.write(f"survived: {survivor}\n")
    sys.stdout.write(f"mutants={len(all_mutants)}\nsurvivors={len(survivors)}\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
