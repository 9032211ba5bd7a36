# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md shows exactly the layers that import-linter enforces, in the same order."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def contract(name: str) -> dict[str, Any]:
    (found,) = [each for each in CONTRACTS if each["name"] == name]
    return found


def short(module: str) -> str:
    return module.strip().removeprefix("reconciler.")


def layers_on_the_page() -> list[set[str]]:
    table = PAGE.partition("| layer |")[2].partition("\n\n")[0]
    return [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines()[2:]]


def test_layers_match_the_contract() -> None:
    enforced = [{short(module) for module in layer.split("|")} for layer in contract("Data flows one way")["layers"]]
    assert layers_on_the_page() == enforced


def test_every_module_has_a_layer() -> None:
    folder = ROOT / "reconciler"
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert modules - {"__init__"} == set().union(*layers_on_the_page())


def test_pure_modules_match_the_contract() -> None:
    (sentence,) = re.findall(r"\n\n([^|\n][^|]*?) are pure: ", PAGE)
    assert set(re.findall(r"`(\w+)`", sentence)) == {
        short(each) for each in contract("Pure modules do no I/O")["source_modules"]
    }


def test_the_diagram_names_only_packages() -> None:
    picture = PAGE.partition("```text\n")[2].partition("```")[0]
    named = set(re.findall(r"`(\w+)`", picture))
    assert named <= set().union(*layers_on_the_page())
    assert {path.parent.name for path in (ROOT / "reconciler").glob("*/__init__.py")} <= named


def test_signing_imports_nothing_from_reconciler() -> None:
    assert "reconciler" in contract("signing stands alone")["forbidden_modules"]
    assert "`signing/` stands alone" in PAGE
