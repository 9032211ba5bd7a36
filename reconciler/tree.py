# SPDX-License-Identifier: Apache-2.0
"""A source of files: what loading reads from, be it a directory or a Git commit without a work tree.

The bottom of the architecture: `reconciler.load` reads any `Tree`, `reconciler.git` makes one of a
commit, and neither knows of the other.
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
    """One file as Git lists it: nothing here has been read or followed yet."""

    path: str  # from the root of the tree, with `/` between its parts
    mode: int  # as in a Git tree: 0o100644, 0o100755, 0o120000 a symlink, 0o160000 a submodule
    blob: str  # the id that Git gives these bytes; two entries with one id have the same bytes
    size: int  # bytes; known before anything is read, so that a limit can be held


class Tree(Protocol):
    """Files by path. Both methods may raise a `FleetError` when the source itself fails."""

    def entries(self) -> Iterable[TreeEntry]:
        """List every file, in any order, directories left out."""
        ...

    def read(self, entry: TreeEntry) -> bytes:
        """Return the bytes of one entry, exactly as they are stored (no filter, no line endings)."""
        ...


def blob_id(data: bytes) -> str:
    """Name these bytes as Git (with SHA-1 object names) does."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()
