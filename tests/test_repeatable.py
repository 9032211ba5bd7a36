# SPDX-License-Identifier: Apache-2.0
"""A run of the tests draws what the run before it drew; fresh randomness is a campaign (`make explore`)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
MADE_OF_A_SEED = re.compile(r"(?:.*\.)?(?:Random|default_rng)")
OF_THE_MODULE = re.compile(r"(?:random|np\.random|numpy\.random)\.[a-z_]+")
ALWAYS_FRESH = re.compile(r"os\.urandom|secrets\.\w+|uuid\.uuid[14]|random\.SystemRandom")


def unseeded(tree: ast.AST) -> set[str]:
    """Return what draws values that nobody can draw again. Keys, which the code under test makes, are not meant."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ALWAYS_FRESH.fullmatch(ast.unparse(node)):
            found.add(ast.unparse(node))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if MADE_OF_A_SEED.fullmatch(name):
                found |= set() if node.args or node.keywords else {f"{name}()"}
            elif OF_THE_MODULE.fullmatch(name):
                found.add(name)
    return found


def test_examples_are_drawn_the_same_each_time(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--hypothesis-profile") == "explore":
        pytest.skip("fresh examples were asked for")
    assert settings.default is not None
    assert settings.default.derandomize
    assert settings.default.database is None


def test_no_test_draws_without_a_seed() -> None:
    found = {
        str(path.relative_to(TESTS)): names
        for path in sorted(TESTS.rglob("*.py"))
        if (names := unseeded(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


def test_no_property_decides_for_itself_whether_it_is_drawn_again() -> None:
    own = [
        str(path.relative_to(TESTS))
        for path in sorted(TESTS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"settings", "seed"}
        for keyword in node.keywords
        if keyword.arg in {"derandomize", "database"}
    ]
    assert own == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = os.urandom(8)", ["os.urandom"]),
        ("make(nonce=os.urandom)", ["os.urandom"]),
        ("random.Random()", ["random.Random()"]),
        ("random.Random(1).random()", []),
        ("random.choice(names)", ["random.choice"]),
        ("np.random.default_rng()", ["np.random.default_rng()"]),
        ("np.random.default_rng(seed).normal()", []),
        ("np.random.normal(0, 1)", ["np.random.normal"]),
        ("secrets.token_bytes(3)", ["secrets.token_bytes"]),
    ],
)
def test_what_is_taken_for_unseeded(code: str, expected: list[str]) -> None:
    assert unseeded(ast.parse(code)) == set(expected)
