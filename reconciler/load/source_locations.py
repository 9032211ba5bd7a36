# SPDX-License-Identifier: Apache-2.0
"""Where documents stand: file and line of what a person asks about. The good case of loading never pays for this."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from reconciler.load.check_cache import CheckCache
from reconciler.load.document_check import check
from reconciler.load.file_filter import sort
from reconciler.load.problems import JsonPath
from reconciler.load.document_index import DocumentSet
from reconciler.load.strict_yaml import KEY, Place, places
from reconciler.tree import Entry, Tree


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A line of a file of the repository."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class SourceLocations:
    """Looks documents of one valid tree up; the tree must stay open meanwhile. A field's line is that of its key."""

    def __init__(self, tree: Tree, cache: CheckCache) -> None:
        self._tree = tree
        self._repository = DocumentSet()
        self._places: dict[str, list[dict[JsonPath, Place]]] = {}
        for entry in sort(tree.entries()).yaml:
            known = cache.checked(entry.blob)
            self._repository.add(entry, check(tree.read(entry))[0] if known is None else known)

    def of(self, kind: str, key: Hashable, *at: str | int) -> SourceLocation:
        """Find the line of a field of a document; of the nearest one around it, where it is not written."""
        entry, item = self._repository.where(kind, key)
        known = self._known(entry)[item.index]
        path: JsonPath = at
        while path and (*path, KEY) not in known:
            path = path[:-1]
        line, _ = known[*path, KEY] if path else (item.line, 1)
        return SourceLocation(entry.path, line)

    def _known(self, entry: Entry) -> list[dict[JsonPath, Place]]:
        if entry.blob not in self._places:
            self._places[entry.blob] = places(self._tree.read(entry))
        return self._places[entry.blob]
