# SPDX-License-Identifier: Apache-2.0
"""A tree with other content in some of its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.tree import Tree, TreeEntry, blob_id


class ChangedTree:
    """A `Tree` that differs from another one in files that this one has too."""

    def __init__(self, tree: Tree, files: Mapping[str, bytes]) -> None:
        self._tree, self._files = tree, files

    def entries(self) -> Iterable[TreeEntry]:
        """List all files."""
        for entry in self._tree.entries():
            data = self._files.get(entry.path)
            yield entry if data is None else replace(entry, blob=blob_id(data), size=len(data))

    def read(self, entry: TreeEntry) -> bytes:
        """Return the bytes of a file."""
        data = self._files.get(entry.path)
        return self._tree.read(entry) if data is None else data
