# SPDX-License-Identifier: Apache-2.0
"""The table of attacks in docs/threat-model.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

TREE = Path(__file__).parents[1]
ATTACKS = (
    "arbitrary model", "rollback", "replay", "freeze", "wrong device", "mix-and-match", "truncated", "endless data",
    "stolen gateway key", "rewritten history", "unsigned commit", "stolen automation key", "a lying gateway",
    "poisoned device",
)  # fmt: skip


def _rows() -> list[str]:
    page = (TREE / "docs" / "threat-model.md").read_text(encoding="utf-8")
    table = page.split("## Attacks\n")[1].split("\n## ")[0]
    return [line for line in table.splitlines() if line.startswith("| ")][1:]


def test_every_attack_has_a_row_with_a_test() -> None:
    rows = _rows()
    assert all(any(row.startswith(f"| {attack}") for row in rows) for attack in ATTACKS)
    assert [row for row in rows if "::test_" not in row] == []


def test_every_named_test_exists() -> None:
    named = {test for row in _rows() for test in re.findall(r"`(tests/[a-z_/]+(?:\.py)?)::(test_[a-z0-9_]+)`", row)}
    assert len(named) > 20
    missing = [f"{place}::{test}" for place, test in sorted(named) if not _has(TREE / place, test)]
    assert not missing


def _has(place: Path, test: str) -> bool:
    files = [place] if place.is_file() else place.rglob("test_*.py")
    return any(f"def {test}(" in file.read_text(encoding="utf-8") for file in files)
