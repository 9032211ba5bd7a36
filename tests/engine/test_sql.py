# SPDX-License-Identifier: Apache-2.0
"""SQL is only in the modules that own a database; all others use their typed methods."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import reconciler

PACKAGE = Path(reconciler.__file__).parent
OWNERS = {
    "daemon/webhook_queue.py",
    "engine/state/reader.py",
    "engine/state/schema.py",
    "engine/state/writer.py",
    "knowledge/reader.py",
    "knowledge/schema.py",
    "knowledge/thinning.py",
    "knowledge/writer.py",
    "load/check_cache.py",
    "bus/begun_calls.py",
    "bus/local_storage.py",
    "sqlite_file.py",
}
STATEMENT = re.compile(
    r"\b(SELECT .+ FROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|(CREATE|ALTER|DROP) TABLE|PRAGMA)\b", re.DOTALL
)


def literals(source: str) -> Iterator[str]:
    """Yield the string literals of a module, the constant parts of f-strings joined."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "x".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))


def with_sql() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if any(STATEMENT.search(literal) for literal in literals(path.read_text(encoding="utf-8"))):
            found.add(str(path.relative_to(PACKAGE)))
    return found


def test_only_the_owners_of_a_database_have_sql() -> None:
    assert with_sql() == OWNERS
