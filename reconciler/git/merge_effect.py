# SPDX-License-Identifier: Apache-2.0
"""What merging a commit into a branch would change, and whether it has been merged, file by file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from reconciler.git.errors import NotProposable
from reconciler.git.mirror import Mirror
from reconciler.model import Commit

_VERSIONS = 200  # of a file, to find the merge of a commit


class MergeEffect:
    """Answers from the objects in a mirror, without a work tree."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def merged_file(self, main: Commit, commit: Commit, path: str) -> bytes | None:
        """Return a file as a merge of the commit into `main` would have it. None: it conflicts, or there is none."""
        parent = self.parent_of(commit)
        if parent is None:
            return None
        return self._merge(self.read(main, path), self.read(parent, path), self.read(commit, path))

    def is_merged(self, commit: Commit, main: Commit) -> bool:
        """Return whether the tracked branch has taken a commit in: by a merge, or squashed into another commit."""
        if (
            self._mirror.git.step(
                "merge-base", "--is-ancestor", commit, main, limit_s=self._mirror.limits.local_s
            ).status
            == 0
        ):
            return True
        parent = self.parent_of(commit)
        if parent is None:
            return False
        paths = sorted(self._paths_between(parent, commit))
        count = f"--max-count={_VERSIONS}"
        listed = self._mirror.git.local(
            "rev-list", count, f"{parent}..{main}", "--", *paths, limit_s=self._mirror.limits.local_s
        )
        versions = [Commit(line.decode("ascii")) for line in listed.split()]
        return any(self._holds(version, parent, commit, paths) for version in versions)

    def _holds(self, version: Commit, parent: Commit, commit: Commit, paths: Iterable[str]) -> bool:
        """Return whether merging a commit into an older state of the branch would change nothing."""
        for path in paths:
            there = self.read(version, path)
            if there is None or self._merge(there, self.read(parent, path), self.read(commit, path)) != there:
                return False
        return True

    def parent_of(self, commit: Commit) -> Commit | None:
        """Return the first parent, if the mirror has it."""
        return self._mirror.resolve(f"{commit}^")

    def paths_of(self, commit: Commit) -> set[str]:
        """Return the files that a commit changes."""
        parent = self.parent_of(commit)
        return set() if parent is None else self._paths_between(parent, commit)

    def _paths_between(self, parent: Commit, commit: Commit) -> set[str]:
        arguments = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", parent, commit)
        listed = self._mirror.git.local(*arguments, limit_s=self._mirror.limits.local_s)
        return {path.decode("utf-8", "surrogateescape") for path in listed.split(b"\0") if path}

    def read(self, commit: Commit, path: str) -> bytes | None:
        """Return an ordinary file of a commit."""
        listed = self._mirror.git.local(
            "ls-tree", "-z", "--full-tree", commit, "--", path, limit_s=self._mirror.limits.local_s
        )
        if not listed:
            return None
        mode, _, blob = listed.partition(b"\t")[0].split()
        if mode != b"100644":
            raise NotProposable(f"{path} of commit {commit[:12]} is not an ordinary file")
        return self._mirror.git.local("cat-file", "blob", blob.decode("ascii"), limit_s=self._mirror.limits.local_s)

    def _merge(self, ours: bytes | None, base: bytes | None, theirs: bytes | None) -> bytes | None:
        """Merge three versions of a file as Git does. None: they conflict."""
        if theirs is None or ours == base:
            return theirs
        if ours is None or base is None:
            return ours if ours == theirs else None
        with tempfile.TemporaryDirectory(prefix="tinyfleet-") as folder:
            files = [Path(folder) / name for name in ("ours", "base", "theirs")]
            for file, data in zip(files, (ours, base, theirs), strict=True):
                file.write_bytes(data)
            result = self._mirror.git.step(
                "merge-file", "-p", "-q", *map(str, files), limit_s=self._mirror.limits.local_s
            )
        return result.out if result.status == 0 else None
