# SPDX-License-Identifier: Apache-2.0
"""`make mutate-firmware` finds the changes that it says it makes, and its list of survivors is up to date."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from firmware.mutate.mutants import SOURCES, mutants
from firmware.mutate.progress import Progress, Result
from firmware.mutate.run import all_mutants, harmless, vector_tests
from tests.firmware.conftest import build

SNIPPET = """
#define LIMIT 5
int g(int a);
int f(int a, int b);
int f(int a, int b)
{
    if (a < LIMIT && b > 2) {
        return 1;
    }
    a = b;
    g(a);
    return a != b ? 2 : 3;
}
"""


@pytest.fixture(scope="module", autouse=True)
def _third_party() -> None:
    build("host")


def test_each_kind_of_change_is_found() -> None:
    source = SOURCES / "agent.c"
    found = [mutant.name for mutant in mutants(source, [], SNIPPET.encode())]
    assert sorted(name.partition("f: ")[2] for name in found) == [
        "left out: a = b",
        "left out: g(a)",
        "never: a < LIMIT && b > 2",
        "not: a != b",
        "off by one, <=: a < LIMIT",
        "off by one, >=: b > 2",
        "only the left side: a < LIMIT && b > 2",
        "only the right side: a < LIMIT && b > 2",
    ]


def test_a_mutant_differs_from_the_source_in_one_place() -> None:
    source = SOURCES / "store" / "blocks.c"
    text = source.read_bytes()
    for mutant in all_mutants(["store/blocks.c"]):
        assert mutant.text != text
        assert mutant.source == source


def test_every_survivor_with_a_reason_is_a_mutant() -> None:
    known = {mutant.name for mutant in all_mutants()}
    assert len(known) > 300
    assert sorted(set(harmless()) - known) == []
    assert all(reason.endswith(".") for reason in harmless().values())


def test_a_resumed_run_knows_all_results_but_survivors(tmp_path: Path) -> None:
    noticed, survived, invalid, later = islice(mutants(SOURCES / "agent.c", [], SNIPPET.encode()), 4)
    path = tmp_path / "results.jsonl"
    run = Progress(path, resume=False)
    for mutant, valid, by in ((noticed, True, "attack"), (survived, True, None), (invalid, False, None)):
        run.record(Result(mutant, valid, by))
    resumed = Progress(path, resume=True)
    assert resumed.earlier(noticed) == Result(noticed, valid=True, noticed="attack")
    assert resumed.earlier(invalid) == Result(invalid, valid=False, noticed=None)
    assert resumed.earlier(survived) is None
    assert resumed.earlier(later) is None
    changed = next(mutants(SOURCES / "agent.c", [], SNIPPET.replace("LIMIT 5", "LIMIT 6").encode()))
    assert changed.name == noticed.name
    assert resumed.earlier(changed) is None, "it was noticed in another text"
    assert Progress(path, resume=False).earlier(noticed) is None


def test_a_test_of_vectors_runs_once_for_each_set_of_values() -> None:
    """As pytest runs it: one mark or none, one name or several, and marks above each other multiplied."""
    calls: list[tuple[Any, ...]] = []

    def test_vector_alone(core: object) -> None:
        calls.append((core,))

    @pytest.mark.parametrize("form", [1, 2])
    def test_vector_of_one_name(core: object, form: int) -> None:
        calls.append((core, form))

    @pytest.mark.parametrize("form", [1, 2], ids=str)
    @pytest.mark.parametrize(("kind", "error"), [(0, -1), (3, -4)])
    def test_vector_of_two_marks(core: object, form: int, kind: int, error: int) -> None:
        calls.append((core, form, kind, error))

    module = ModuleType("vectors")
    for test in (test_vector_alone, test_vector_of_one_name, test_vector_of_two_marks):
        setattr(module, test.__name__, test)
    vars(module)["test_of_something_else"] = None
    for each in vector_tests(module, "test_vector"):
        each("core")
    assert calls[:3] == [("core",), ("core", 1), ("core", 2)]
    assert sorted(calls[3:]) == [("core", 1, 0, -1), ("core", 1, 3, -4), ("core", 2, 0, -1), ("core", 2, 3, -4)]
