# SPDX-License-Identifier: Apache-2.0
"""`make mutate-checks`: its list of promises fits the code, and a sample of its mutants is found by the tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutate_checks import kept, trials
from tools.mutation import compared_by_ending, decision_changes, mutants
from tools.safety_checks import PROMISES, Promise

ROOT = Path(__file__).parents[2]
SOURCE = """
LIMIT = 3 if 1 < 2 else 4

class Gate:
    def allows(self, name: str, others: list[str]) -> bool:
        if not others:
            return False
        found = [other for other in others if other != name]
        return len(found) < LIMIT and max(map(len, found)) > 0
"""


def test_each_kind_of_decision_is_changed(tmp_path: Path) -> None:
    module = tmp_path / "gate.py"
    module.write_text(SOURCE, encoding="utf-8")
    found = [each for each in mutants(module, tmp_path, decision_changes) if each.function]
    assert {each.function for each in found} == {"Gate.allows"}
    assert {each.change for each in found} == {
        "always holds: not others",
        "never holds: not others",
        "keeps all: other != name",
        "always holds: len(found) < LIMIT and max(map(len, found)) > 0",
        "never holds: len(found) < LIMIT and max(map(len, found)) > 0",
        "without an operand: len(found) < LIMIT",
        "without an operand: max(map(len, found)) > 0",
        "off by one: len(found) < LIMIT",
        "off by one: max(map(len, found)) > 0",
        "not max: max(map(len, found))",
    }
    original = ast.unparse(ast.parse(SOURCE))
    assert all(each.source != original for each in found)


def test_names_may_be_compared_by_their_ending(tmp_path: Path) -> None:
    module = tmp_path / "names.py"
    module.write_text("def same(a: str, b: str) -> bool:\n    return a == b\n", encoding="utf-8")
    (mutant,) = mutants(module, tmp_path, compared_by_ending)
    scope: dict[str, object] = {}
    exec(compile(mutant.source, "names.py", "exec"), scope)  # noqa: S102 - the mutant of the two lines above
    same = scope["same"]
    assert callable(same)
    assert [same("big-north", "north"), same("north", "big-north")] == [True, False]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.module)
def test_a_promise_rests_on_code_and_tests_that_exist(promise: Promise) -> None:
    assert all((ROOT / test).is_file() for test in promise.tests)
    covered = {trial.mutant.function for trial in trials([promise])}
    assert covered
    unknown = [each for each in promise.functions if not any(f"{name}.".startswith(f"{each}.") for name in covered)]
    assert unknown == []


def test_each_reason_is_for_a_mutant_that_exists() -> None:
    assert kept().keys() <= {trial.mutant.key for trial in trials(PROMISES)}
    assert all(reason.endswith(".") for reason in kept().values())


def test_a_sample_of_the_mutants_fails_the_tests() -> None:
    command = [sys.executable, "-m", "tools.mutate_checks", "--only", "plan/device/gates", "--every", "9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "survivors=0", done.stdout + done.stderr
