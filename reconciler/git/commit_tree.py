# SPDX-License-Identifier: Apache-2.0
"""Reads the files of one commit directly from Git objects. Nothing is ever checked out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Self

from reconciler.git.confined_git import ConfinedGit, last_line, plain_path
from reconciler.git.errors import MirrorDamaged, SubPathMissing, TransferTooLarge
from reconciler.model import Commit
from reconciler.tree import SUBMODULE, TreeEntry, blob_id


class CommitTree:
    """A `reconciler.tree.Tree` over one commit. Close it, or use it as a context manager. Not thread-safe."""

    def __init__(
        self,
        git: ConfinedGit,
        commit: Commit,
        sub_path: str = "",
        *,
        limit_s: float = 60.0,
        on_damage: Callable[[], None] | None = None,
    ) -> None:
        self.commit = commit
        self.sub_path = plain_path(sub_path)
        self._git = git.with_config(())  # its own `cat-file` process, so that open trees do not interfere
        self._limit_s = limit_s
        self._on_damage = on_damage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the `cat-file` process."""
        self._git.clear_cache()

    def entries(self) -> tuple[TreeEntry, ...]:
        """List all files below the sub-path, with one command."""
        return self._entries

    def read(self, entry: TreeEntry) -> bytes:
        """Return the stored bytes, verified against the blob id in the commit."""
        if entry.mode == SUBMODULE:
            return b""  # its commit is in another repository, which is never read
        try:
            *_, data = self._git.get_object_data(entry.blob)
        except (ValueError, OSError) as problem:
            raise self._damaged(f"{entry.path}: {last_line(str(problem))}") from problem
        if blob_id(data) != entry.blob:
            raise self._damaged(f"{entry.path}: its bytes do not match blob {entry.blob[:12]}")
        return data

    @cached_property
    def _entries(self) -> tuple[TreeEntry, ...]:
        top = f"{self.commit}:{self.sub_path}" if self.sub_path else f"{self.commit}^{{tree}}"
        listed = self._git.step("ls-tree", "-r", "-l", "-z", "--full-tree", top, limit_s=self._limit_s)
        if listed.too_large:
            raise TransferTooLarge(f"commit {self.commit[:12]} has more files than a gateway can list")
        if listed.status != 0:
            if self.sub_path and self._holds_commit():
                raise SubPathMissing(f"commit {self.commit[:12]} has no folder {self.sub_path!r}")
            raise self._damaged(f"cannot list commit {self.commit[:12]}: {last_line(listed.err)}")
        return tuple(_entry(line) for line in listed.out.split(b"\0") if line)

    def _holds_commit(self) -> bool:
        whole = f"{self.commit}^{{tree}}"
        return self._git.step("ls-tree", "--name-only", whole, limit_s=self._limit_s).status == 0

    def _damaged(self, what: str) -> MirrorDamaged:
        self.close()
        if self._on_damage is not None:
            self._on_damage()
        return MirrorDamaged(f"the mirror is damaged: {what}", retry_after_s=0.0)


def _entry(line: bytes) -> TreeEntry:
    facts, _, path = line.partition(b"\t")
    mode, _, blob, size = facts.split()
    # A name that is not UTF-8 keeps its bytes as surrogates; loading refuses such a path.
    name = path.decode("utf-8", "surrogateescape")
    return TreeEntry(name, int(mode, 8), blob.decode("ascii"), 0 if size == b"-" else int(size))
