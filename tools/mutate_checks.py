# SPDX-License-Identifier: Apache-2.0
"""Changes each decision that a safety promise rests on, one at a time, and verifies that a test fails.

tools/safety_checks.py lists the promises with their modules and tests, tools/mutation.py the changes, and
tools/mutants_kept.toml the mutants that no test can or should tell from the original, each with its reason.

A mutant is a function whose code is replaced in a forked process that has everything imported already, so that a mutant
costs hardly more than the tests that it fails. The tree is not changed.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import multiprocessing.connection
import os
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tools.mutation import Mutant, compared_by_ending, decision_changes, mutants
from tools.safety_checks import PROMISES, Promise

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "tools" / "mutants_kept.toml"
QUICK = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0")
SLOWER = 5.0  # times the tests without a mutant, after which a mutant counts as one that never ends
AT_LEAST_S = 20.0
SURVIVED = 0


@dataclass(frozen=True)
class Trial:
    """One mutant and the tests that should fail with it."""

    mutant: Mutant
    promise: Promise


def trials(promises: Iterable[Promise]) -> Iterator[Trial]:
    """Yield all mutants of the functions that promises rest on."""
    for promise in promises:
        path = ROOT / promise.module
        changes = [decision_changes, compared_by_ending] if promise.names else [decision_changes]
        for each in changes:
            for mutant in mutants(path, ROOT, each):
                if mutant.function and promise.covers(mutant.function):
                    yield Trial(mutant, promise)


def kept(path: Path = KEPT) -> dict[tuple[str, str, str], str]:
    """Read which mutants are kept, and why: reasons by module, function and change."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["kept"]
    return {(each["module"], each["function"], each["change"]): each["reason"] for each in entries}


def install(mutant: Mutant) -> None:
    """Replace the code of the mutant's function in this process."""
    name = mutant.file.removesuffix(".py").replace("/", ".")
    function = _function(importlib.import_module(name), mutant.function)
    code = _code(compile(mutant.source, mutant.file, "exec"), mutant.function)
    if code is None:
        raise LookupError(str(mutant))
    function.__code__ = code


def _function(holder: Any, qualified: str) -> FunctionType:  # noqa: ANN401 - a module, then classes
    for part in qualified.split("."):
        holder = vars(holder)[part]
    for wrapper in ("fget", "__func__", "__wrapped__", "func"):  # property, class method, cache, cached property
        holder = getattr(holder, wrapper, holder)
    if not isinstance(holder, FunctionType):
        raise TypeError(qualified)
    return holder


def _code(code: CodeType, qualified: str) -> CodeType | None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == qualified:
                return constant
            found = _code(constant, qualified)
            if found is not None:
                return found
    return None


def _test(tests: Sequence[str], mutant: Mutant | None) -> None:
    """Run tests with a mutant installed, and exit with 0 if all pass. This process is a fork of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    if mutant is not None:
        install(mutant)
    os._exit(int(pytest.main([*QUICK, *tests])))


class Runner:
    """Runs trials in forks, several at a time."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._context = multiprocessing.get_context("fork")
        self._running: dict[BaseProcess, tuple[Trial, float]] = {}
        self._limits: dict[tuple[str, ...], float] = {}
        self.survivors: list[Trial] = []
        self.endless: list[Trial] = []  # ended by the limit on time: on a busy machine, try these alone

    def passes(self, tests: tuple[str, ...]) -> bool:
        """Return whether tests pass without a mutant, and measure how long they take."""
        began = time.monotonic()
        process = self._context.Process(target=_test, args=(tests, None))
        process.start()
        process.join()
        self._limits[tests] = AT_LEAST_S + SLOWER * (time.monotonic() - began)
        return process.exitcode == SURVIVED

    def run(self, all_trials: Iterable[Trial]) -> None:
        """Run all trials."""
        for trial in all_trials:
            while len(self._running) >= self._jobs:
                self._collect()
            process = self._context.Process(target=_test, args=(trial.promise.tests, trial.mutant))
            process.start()
            self._running[process] = (trial, time.monotonic() + self._limits[trial.promise.tests])
        while self._running:
            self._collect()

    def _collect(self) -> None:
        multiprocessing.connection.wait([process.sentinel for process in self._running], timeout=1.0)
        for process, (trial, ends) in list(self._running.items()):
            if process.is_alive() and time.monotonic() > ends:
                process.kill()
                process.join()
                self.endless.append(trial)
            if not process.is_alive():
                process.join()
                del self._running[process]
                if process.exitcode == SURVIVED:
                    self.survivors.append(trial)


def main() -> int:
    """Print the survivors without a reason, and the numbers as the last lines."""
    parser = argparse.ArgumentParser(description="Change each decision in turn, and expect a test to fail.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="only modules with this in their path")
    parser.add_argument("--every", type=int, default=1, help="only every n-th mutant")
    chosen = parser.parse_args()
    promises = [promise for promise in PROMISES if chosen.only in promise.module]
    tests = sorted({test for promise in promises for test in promise.tests})
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        pytest.main([*QUICK, "--collect-only", *tests])  # imports everything before the forks
    runner, reasons = Runner(chosen.jobs), kept()
    count = killed = endless = unexplained = 0
    for promise in promises:
        if not runner.passes(promise.tests):
            sys.stdout.write(f"{promise.module}: the tests fail without a mutant, so mutants prove nothing\n")
            return 2
        sample = list(trials([promise]))[:: chosen.every]
        runner.survivors.clear()
        runner.endless.clear()
        runner.run(sample)
        left = [trial.mutant for trial in runner.survivors if trial.mutant.key not in reasons]
        for mutant in sorted(left, key=lambda each: each.line):
            sys.stdout.write(f"survived: {mutant}\n")
        for trial in runner.endless:
            sys.stdout.write(f"ended by the time limit: {trial.mutant}\n")
        survived = len(runner.survivors)
        sys.stdout.write(f"{promise.module}: {len(sample)} mutants, {survived - len(left)} kept with a reason\n")
        sys.stdout.flush()
        count += len(sample)
        unexplained += len(left)
        killed += len(sample) - survived
        endless += len(runner.endless)
    sys.stdout.write(
        f"mutants={count}\nkilled={killed}\nended_by_time={endless}\n"
        f"kept={count - killed - unexplained}\nsurvivors={unexplained}\n"
    )
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
