# SPDX-License-Identifier: Apache-2.0
"""Where a command's fleet comes from: a directory as it is, or a commit of the Git repository around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.cli.inputs.repositories import find
from reconciler.load import DirectoryTree
from reconciler.model import Commit
from reconciler.tree import Tree


@contextmanager
def opened(path: Path, revision: str | None) -> Iterator[tuple[Tree, Commit]]:
    """Open what is to be loaded, and name its commit (empty for a directory)."""
    if revision is None:
        yield DirectoryTree(path), Commit("")
        return
    found = find(path)
    commit = found.resolve(revision)
    with found.tree(commit) as tree:
        yield tree, commit
