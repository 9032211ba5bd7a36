# SPDX-License-Identifier: Apache-2.0
"""The YAML files of a working tree, and which of them are not committed.

Files are compared by their blob IDs, without `git status`: that would run the filters of the repository.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.tree import Tree, blob_id

YAML = (".yaml", ".yml")


def yaml_files(folder: Path) -> Iterator[Path]:
    """Find all YAML files below a folder, except hidden ones."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place) / name for name in files if name.endswith(YAML) and not name.startswith("."))


def uncommitted(folder: Path, committed: Tree) -> list[str]:
    """Return the YAML files that differ from the commit, or exist on only one side."""
    there = {
        entry.path: entry.blob
        for entry in committed.entries()
        if entry.path.endswith(YAML) and not entry.path.startswith(".") and "/." not in entry.path
    }
    here = {path.relative_to(folder).as_posix(): blob_id(path.read_bytes()) for path in yaml_files(folder)}
    return sorted(path for path in there.keys() | here.keys() if there.get(path) != here.get(path))
