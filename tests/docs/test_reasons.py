# SPDX-License-Identifier: Apache-2.0
"""Every reason of a failure is explained in the documents."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.docs.markdown import ROOT, pages, spans

GROUPS = {"Failed", "Stalled", "Refused", "Unusable", "Unavailable"}  # base classes in errors.py, without a reason
PLACES = ("docs/conditions.md", "docs/git.md", "docs/provisioning.md")


def reasons(tree: ast.Module) -> Iterator[str]:
    """Yield the `reason` of each class."""
    for node in ast.walk(tree):
        for each in node.body if isinstance(node, ast.ClassDef) else ():
            match each:
                case (
                    ast.Assign(targets=[ast.Name(id="reason")], value=ast.Constant(value=str(reason)))
                    | ast.AnnAssign(target=ast.Name(id="reason"), value=ast.Constant(value=str(reason)))
                ):
                    yield from (reason,) if reason else ()
                case _:
                    pass


def test_every_reason_is_explained() -> None:
    code = {
        reason
        for path in (ROOT / "reconciler").rglob("*.py")
        for reason in reasons(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert {"HistoryRewritten", "BuildGateFailed"} <= code
    explained = {span for page in pages() if page.relative_to(ROOT).as_posix() in PLACES for span in spans(page)}
    assert sorted(code - explained - GROUPS) == []
