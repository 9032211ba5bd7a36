# SPDX-License-Identifier: Apache-2.0
"""The remedies in the code match the pages in docs/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from reconciler.model import BlockedReason, HoldReason
from reconciler.report.remedies import REMEDIES

DOCS = Path(__file__).parents[2] / "docs"


def plain(cell: str) -> str:
    """Remove Markdown markup."""
    cell = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", cell).replace("`", "")
    return re.sub(r"(?<!\S)\*(\w+)\*", r"\1", cell)


def documented() -> Iterator[tuple[str, str]]:
    """Yield each reason of a condition that is not True, with what to do about it."""
    conditions = (DOCS / "conditions.md").read_text("utf-8")
    tables = [
        conditions.partition(f"\n## {of}\n")[2].partition("\n## ")[0]
        for of in ("Devices", "Rollouts", "Contests", "Trainings", "Pipelines", "Models", "Functions", "Gateways")
    ]
    tables.append((DOCS / "git.md").read_text("utf-8").partition("\n| reason |")[2].partition("\n## ")[0])
    assert all(tables)
    for line in "\n".join(tables).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or (len(cells) == 5 and cells[1] not in {"False", "Unknown"}):
            continue
        for reason in re.findall(r"`([A-Z]\w+)`", cells[2] if len(cells) == 5 else cells[0]):
            yield reason, plain(cells[-1])


def test_remedies_match_the_documents() -> None:
    assert dict(documented()) == {reason: remedy.text for reason, remedy in REMEDIES.items()}


def test_every_reason_of_an_action_has_a_remedy() -> None:
    assert {reason.value for reason in BlockedReason} <= REMEDIES.keys()
    assert {f"Held{reason.value}" for reason in HoldReason} <= REMEDIES.keys()
