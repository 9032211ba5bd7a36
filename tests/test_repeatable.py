# SPDX-License-Identifier: Apache-2.0
"""Every run of the tests draws the same random values; `make explore` draws fresh ones."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
SEEDED = re.compile(r"(?:.*\.)?(?:Random|default_rng)")
GLOBAL_STATE = re.compile(r"(?:random|np\.random|numpy\.random)\.[a-z_]+")
ALWAYS_FRESH = re.compile(r"os\.urandom|secrets\.\w+|uuid\.uuid[14]|random\.SystemRandom")


def unseeded(tree: ast.AST) -> set[str]:
    """Return the calls whose random values cannot be reproduced. Keys that the code under test generates are exempt."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ALWAYS_FRESH.fullmatch(ast.unparse(node)):
            found.add(ast.unparse(node))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if SEEDED.fullmatch(name):
                found |= set() if node.args or node.keywords else {f"{name}()"}
            elif GLOBAL_STATE.fullmatch(name):
                found.add(name)
    return found


def test_examples_are_the_same_in_each_run(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--hypothesis-profile") == "explore":
        pytest.skip("fresh examples were requested")
    assert settings.default is not None
    assert settings.default.derandomize
    assert settings.default.database is None


def test_every_random_choice_has_a_seed() -> None:
    found = {
        str(path.relative_to(TESTS)): names
        for path in sorted(TESTS.rglob("*.py"))
        if (names := unseeded(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


def test_no_property_overrides_the_profile() -> None:
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
def test_unseeded_calls_are_found(code: str, expected: list[str]) -> None:
    assert unseeded(ast.parse(code)) == set(expected)
