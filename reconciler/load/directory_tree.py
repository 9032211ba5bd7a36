# SPDX-License-Identifier: Apache-2.0
"""A directory as a tree of files: for an author at a desk, and for CI."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import Invalid, Transient, Unusable
from reconciler.tree import EXECUTABLE, FILE, SYMLINK, Entry, blob_id

LARGEST_BYTES = 64 * 1024 * 1024  # a larger file is listed, but never read and so has no blob id
OTHER = 0  # the mode of what Git can't hold: a socket, a device, a pipe


class NotADirectory(Invalid):
    """There is no such directory to load."""


class Unreadable(Unusable):
    """The directory is there, but its files can't be read."""


class Changed(Transient):
    """A file changed between being listed and being read."""


class DirectoryTree:
    """The files below a directory. Symlinks are listed, never followed; hidden files are left out."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise NotADirectory(f"{root} is no directory")
        self.root = root

    def entries(self) -> Iterator[Entry]:
        """List every file that is not hidden (`.git` and CI files are), in order."""
        try:
            yield from self._below(self.root, "")
        except OSError as error:
            raise Unreadable(f"{error.filename}: {error.strerror}") from error

    def read(self, entry: Entry) -> bytes:
        """Return the bytes that were there when the entry was listed, or refuse."""
        try:
            data = self._bytes(self.root / entry.path)
        except OSError as error:
            raise Changed(f"{entry.path}: {error.strerror}") from error
        if blob_id(data) != entry.blob:
            raise Changed(f"{entry.path} changed while it was read")
        return data

    def _below(self, folder: Path, prefix: str) -> Iterator[Entry]:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
        for child in children:
            path = f"{prefix}{child.name}"
            if child.name.startswith("."):
                continue
            if child.is_dir(follow_symlinks=False):
                yield from self._below(Path(child.path), f"{path}/")
            else:
                yield self._entry(child, path)

    def _entry(self, child: os.DirEntry[str], path: str) -> Entry:
        status = child.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return Entry(path, SYMLINK, blob_id(os.fsencode(Path(child.path).readlink())), status.st_size)
        if not stat.S_ISREG(status.st_mode):
            return Entry(path, OTHER, "", 0)
        mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else FILE
        if status.st_size > LARGEST_BYTES:
            return Entry(path, mode, "", status.st_size)
        data = self._bytes(Path(child.path))
        return Entry(path, mode, blob_id(data), len(data))

    @staticmethod
    def _bytes(path: Path) -> bytes:
        """Read a regular file; what was swapped for a link or a pipe since is not followed and can't block."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            return file.read(LARGEST_BYTES + 1)
