# SPDX-License-Identifier: Apache-2.0
"""Reads and writes key files. Private ones are created for the owner only, and rejected if others could read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO
MAX_FILE_BYTES = 64 * 1024


class KeyStoreError(Exception):
    """A key, a passphrase or a key file can't be used. The message never contains a secret."""


def write_private(path: Path, data: bytes) -> None:
    """Create a file with mode 0600. An existing file is never overwritten."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        why = "it already exists and is never overwritten" if path.exists() else error.strerror
        raise KeyStoreError(f"can't create {path}: {why}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    _sync_directory(path.parent)


def write_public(path: Path, data: bytes) -> None:
    """Replace a file without secrets atomically."""
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
    """Read a secret, unless group or others have access to the file or it belongs to another user."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # never blocks on a named pipe
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise KeyStoreError(f"can't open {path}: {error.strerror}") from error
    try:
        _check_private(path, os.fstat(descriptor))  # of the open file, so that it can't be swapped in between
        return os.read(descriptor, MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyStoreError(f"{path} is not a regular file")
    if status.st_mode & OTHERS:
        raise KeyStoreError(f"users other than its owner have access to {path}: chmod 600 it, and replace the key")
    if status.st_uid not in {os.geteuid(), 0}:
        raise KeyStoreError(f"{path} belongs to another user")


def read_public(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a file without secrets."""
    try:
        with path.open("rb") as file:
            return file.read(max_bytes)
    except OSError as error:
        raise KeyStoreError(f"can't read {path}: {error.strerror}") from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
