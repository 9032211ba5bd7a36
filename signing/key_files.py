# SPDX-License-Identifier: Apache-2.0
"""Files with secrets: created for the owner alone, and refused when anyone else could have read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
LARGEST_FILE = 64 * 1024


class KeyStoreError(Exception):
    """A key, a passphrase or a file of theirs can't be used; the message never holds a secret."""


def write_private(path: Path, data: bytes) -> None:
    """Create a file with mode 0600; one that is there already is never overwritten."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        what = "is there already and is left alone" if path.exists() else error.strerror
        raise KeyStoreError(f"can't create {path}: {what}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    _sync_directory(path.parent)


def write_public(path: Path, data: bytes) -> None:
    """Replace a file that holds no secret, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise KeyStoreError(f"can't write {path}: {error.strerror}") from error
    _sync_directory(path.parent)


def read_private(path: Path) -> bytes:
    """Read a secret, unless group or others may touch it, or it belongs to somebody else."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # never wait for a pipe's other end
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise KeyStoreError(f"can't open {path}: {error.strerror}") from error
    try:
        _check_private(path, os.fstat(descriptor))  # of the open file, so that nobody swaps it in between
        return os.read(descriptor, LARGEST_FILE)
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyStoreError(f"{path} is not a regular file")
    if status.st_mode & OTHERS:
        raise KeyStoreError(f"{path} can be touched by others than its owner: chmod 600 it, and replace the key")
    if status.st_uid not in {os.geteuid(), 0}:
        raise KeyStoreError(f"{path} belongs to another user")


def read_public(path: Path, most_bytes: int = LARGEST_FILE) -> bytes:
    """Read a file that holds no secret."""
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise KeyStoreError(f"can't read {path}: {error.strerror}") from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
