# SPDX-License-Identifier: Apache-2.0
"""The explanation of a device: as text, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.cli.views.table import Row, table
from reconciler.model import Commit
from reconciler.review.explain import Explanation
from reconciler.review.formatting import iso, short

MARKS = {True: "=", False: "≠", None: "?"}
INDENT = 2


@dataclass(frozen=True, slots=True)
class CommitDetails:
    """A commit, as its author described it."""

    commit: Commit
    author: str
    at: datetime
    subject: str


def as_text(explanation: Explanation, commits: Sequence[CommitDetails], width: int) -> str:
    """Write an explanation for a terminal. The first commit is the enforced one, the second wrote the rollout."""
    lines = [f"{explanation.device}", "", "Desired state"]
    heads = ("commit", "rollout last changed by")
    for head, each in zip(heads, commits, strict=False):
        lines.append(f"  {head} {short(each.commit)}, {each.at:%Y-%m-%d %H:%M UTC}, {each.author}: {each.subject}")
    documents = [(each.location, f"{each.document} {each.name} {each.text}") for each in explanation.desired]
    lines += _indented(documents, width)
    lines += ["", "Comparison"]
    lines += [
        f"  {MARKS[each.matches]} {each.subject}: desired {each.desired}; observed {each.observed}"
        for each in explanation.comparison
    ]
    lines += ["", "History"]
    events = [(f"{each.at:%Y-%m-%d %H:%M:%S}" if each.at else "", each.text) for each in explanation.history]
    lines += _indented(events, width)
    return "\n".join([*lines, "", "Next", *(f"  {each}" for each in explanation.next)])


def _indented(rows: Sequence[Row], width: int) -> list[str]:
    return [f"{' ' * INDENT}{line.plain}" for line in table((), rows, width - INDENT)]


def as_json(explanation: Explanation, commits: Sequence[CommitDetails], warnings: Sequence[str]) -> str:
    """Write an explanation for programs."""
    status = explanation.status
    document: dict[str, Any] = {
        "device": explanation.device,
        "commits": [
            {"commit": each.commit, "author": each.author, "at": iso(each.at), "subject": each.subject}
            for each in commits
        ],
        "desired": [
            {"kind": each.document, "name": each.name, "location": each.location or None, "text": each.text}
            for each in explanation.desired
        ],
        "comparison": [
            {
                "subject": each.subject,
                "desired": each.desired,
                "observed": each.observed,
                "matches": each.matches,
            }
            for each in explanation.comparison
        ],
        "history": [{"at": iso(each.at), "text": each.text} for each in explanation.history],
        "next": list(explanation.next),
        "warnings": list(warnings),
        "conditions": [each.as_dict() for each in status.conditions] if status is not None else [],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
