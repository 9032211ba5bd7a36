# SPDX-License-Identifier: Apache-2.0
"""The files of one commit, straight from Git objects: nothing is ever checked out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Self

from reconciler.git.confined_git import ConfinedGit, last_line, plain_path
from reconciler.git.errors import MirrorDamaged, SubPathMissing
from reconciler.model import Commit
from reconciler.tree import SUBMODULE, Entry, blob_id


class CommitTree:
    """A `reconciler.tree.Tree`. Close it, or use it as a context manager; not for two threads at once."""

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
        self._git = git.with_config(())  # a reading process of its own, so that trees don't disturb each other
        self._limit_s = limit_s
        self._on_damage = on_damage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads for us."""
        self._git.clear_cache()

    def entries(self) -> tuple[Entry, ...]:
        """List every file below the sub-path; one command, whatever their number."""
        return self._entries

    def read(self, entry: Entry) -> bytes:
        """Return the stored bytes, checked against the name that the commit gave them."""
        if entry.mode == SUBMODULE:
            return b""  # its commit is in another repository, where we never go
        try:
            *_, data = self._git.get_object_data(entry.blob)
        except (ValueError, OSError) as problem:
            raise self._damaged(f"{entry.path}: {last_line(str(problem))}") from problem
        if blob_id(data) != entry.blob:
            raise self._damaged(f"{entry.path}: its bytes are not those of {entry.blob[:12]}")
        return data

    @cached_property
    def _entries(self) -> tuple[Entry, ...]:
        top = f"{self.commit}:{self.sub_path}" if self.sub_path else f"{self.commit}^{{tree}}"
        listed = self._git.step("ls-tree", "-r", "-l", "-z", "--full-tree", top, limit_s=self._limit_s)
        if listed.status != 0:
            if self.sub_path and self._holds_commit():
                raise SubPathMissing(f"{self.sub_path!r} is no folder of commit {self.commit[:12]}")
            raise self._damaged(f"commit {self.commit[:12]} can't be listed: {last_line(listed.err)}")
        return tuple(_entry(line) for line in listed.out.split(b"\0") if line)

    def _holds_commit(self) -> bool:
        whole = f"{self.commit}^{{tree}}"
        return self._git.step("ls-tree", "-r", "--name-only", whole, limit_s=self._limit_s).status == 0

    def _damaged(self, what: str) -> MirrorDamaged:
        self.close()
        if self._on_damage is not None:
            self._on_damage()
        return MirrorDamaged(f"the mirror is damaged: {what}", retry_after_s=0.0)


def _entry(line: bytes) -> Entry:
    facts, _, path = line.partition(b"\t")
    mode, _, blob, size = facts.split()
    # A name that is no UTF-8 keeps its bytes as surrogates: loading refuses it by its path.
    name = path.decode("utf-8", "surrogateescape")
    return Entry(name, int(mode, 8), blob.decode("ascii"), 0 if size == b"-" else int(size))
