# SPDX-License-Identifier: Apache-2.0
"""Finds the file and line of a document or field, for commands that explain something to a person.

Positions are computed on demand, so loading a valid repository does not pay for them.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from reconciler.load.check_cache import CheckCache
from reconciler.load.document_check import check_file
from reconciler.load.document_index import DocumentIndex
from reconciler.load.file_filter import filter_files
from reconciler.load.strict_yaml import Position, positions
from reconciler.tree import Tree, TreeEntry
from reconciler.validation.problems import KEY, JsonPath


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of a file in the repository."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class SourceLocations:
    """Looks up documents of one valid tree, which must stay open for as long as this object is used."""

    def __init__(self, tree: Tree, cache: CheckCache) -> None:
        self._tree = tree
        self._documents = DocumentIndex()
        self._positions: dict[str, list[dict[JsonPath, Position]]] = {}
        for entry in filter_files(tree.entries()).yaml:
            known = cache.checked(entry.blob)
            self._documents.add(entry, check_file(tree.read(entry))[0] if known is None else known)

    def of(self, kind: str, key: Hashable, *at: str | int) -> SourceLocation:
        """Return the line of a field's key, or of the closest enclosing field that is written in the file."""
        entry, document = self._documents.origin(kind, key)
        known = self._positions_in(entry)[document.index]
        path: JsonPath = at
        while path and (*path, KEY) not in known:
            path = path[:-1]
        line, _ = known[*path, KEY] if path else (document.line, 1)
        return SourceLocation(entry.path, line)

    def _positions_in(self, entry: TreeEntry) -> list[dict[JsonPath, Position]]:
        if entry.blob not in self._positions:
            self._positions[entry.blob] = positions(self._tree.read(entry))
        return self._positions[entry.blob]
