# SPDX-License-Identifier: Apache-2.0
"""A tree of files: the interface between `reconciler.load` and a directory or a Git commit.

`reconciler.load` reads any `Tree`, `reconciler.git` provides one for a commit, and neither imports the
other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

FILE = 0o100644
EXECUTABLE = 0o100755
SYMLINK = 0o120000
SUBMODULE = 0o160000
REGULAR = (FILE, EXECUTABLE)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file as Git lists it. Nothing has been read or followed yet."""

    path: str  # relative to the root of the tree, with `/` as separator
    mode: int  # as in a Git tree: 0o100644, 0o100755, 0o120000 a symlink, 0o160000 a submodule
    blob: str  # the blob id: entries with the same id have the same bytes
    size: int  # in bytes; known before the file is read, so that limits can be enforced


class Tree(Protocol):
    """Files by path. Both methods raise a `FleetError` if the source itself fails."""

    def entries(self) -> Iterable[TreeEntry]:
        """List all files, in any order, without directories."""
        ...

    def read(self, entry: TreeEntry) -> bytes:
        """Return the bytes of an entry exactly as stored, without filters or line ending conversion."""
        ...


def blob_id(data: bytes) -> str:
    """Return the blob id that Git gives these bytes (SHA-1 object format)."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()
