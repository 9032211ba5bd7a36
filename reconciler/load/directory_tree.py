# SPDX-License-Identifier: Apache-2.0
"""Reads a fleet repository from a directory, for authors at their desks and for CI."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import Invalid, Transient, Unusable
from reconciler.registries.pointers import DVC_CONFIG, LFS_CONFIG
from reconciler.tree import EXECUTABLE, FILE, SYMLINK, TreeEntry, blob_id

MAX_READ_BYTES = 64 * 1024 * 1024  # a larger file is listed but never read, so it has no blob id
SETTINGS = (DVC_CONFIG, LFS_CONFIG)
OTHER = 0  # the mode of anything that Git cannot store: a socket, a device, a pipe


class NotADirectory(Invalid):
    """The path to load is not a directory."""


class DirectoryUnreadable(Unusable):
    """The directory exists, but its files cannot be read."""


class FileChanged(Transient):
    """A file changed between listing and reading."""


class DirectoryTree:
    """The files below a directory. Symlinks are listed but never followed; hidden files are skipped, except two."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise NotADirectory(f"{root} is not a directory")
        self.root = root

    def entries(self) -> Iterator[TreeEntry]:
        """List all files in order. Of hidden ones, only the settings that lead to files elsewhere."""
        try:
            yield from (entry for path in SETTINGS for entry in self._settings(path))
            yield from self._below(self.root, "")
        except OSError as error:
            raise DirectoryUnreadable(f"{error.filename}: {error.strerror}") from error

    def read(self, entry: TreeEntry) -> bytes:
        """Return the bytes that the file had when it was listed; raise `FileChanged` if they differ now."""
        try:
            data = self._bytes(self.root / entry.path)
        except OSError as error:
            raise FileChanged(f"{entry.path}: {error.strerror}") from error
        if blob_id(data) != entry.blob:
            raise FileChanged(f"{entry.path} changed while it was being read")
        return data

    def _settings(self, path: str) -> Iterator[TreeEntry]:
        folder = (self.root / path).parent
        if folder.is_dir() and not folder.is_symlink():
            with os.scandir(folder) as found:
                yield from (self._entry(child, path) for child in found if child.name == Path(path).name)

    def _below(self, folder: Path, prefix: str) -> Iterator[TreeEntry]:
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

    def _entry(self, child: os.DirEntry[str], path: str) -> TreeEntry:
        status = child.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            return TreeEntry(path, SYMLINK, blob_id(os.fsencode(Path(child.path).readlink())), status.st_size)
        if not stat.S_ISREG(status.st_mode):
            return TreeEntry(path, OTHER, "", 0)
        mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else FILE
        if status.st_size > MAX_READ_BYTES:
            return TreeEntry(path, mode, "", status.st_size)
        data = self._bytes(Path(child.path))
        return TreeEntry(path, mode, blob_id(data), len(data))

    @staticmethod
    def _bytes(path: Path) -> bytes:
        """Read a regular file. A link or pipe that replaced it meanwhile is not followed and cannot block."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            return file.read(MAX_READ_BYTES + 1)
