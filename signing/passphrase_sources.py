# SPDX-License-Identifier: Apache-2.0
"""Reads a passphrase from a private file or an open file descriptor, never from the command line."""

from __future__ import annotations

import os
from pathlib import Path

from signing.key_files import KeyStoreError, read_private

MAX_PASSPHRASE_BYTES = 4096


def from_file(path: Path) -> bytes:
    """Read the first line of a file that only its owner can access."""
    return _first_line(read_private(path), str(path))


def from_descriptor(descriptor: int) -> bytes:
    """Read the first line from a descriptor that the parent process opened."""
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _first_line(file.readline(MAX_PASSPHRASE_BYTES), f"descriptor {descriptor}")
    except OSError as error:
        raise KeyStoreError(f"can't read descriptor {descriptor}: {error.strerror}") from error


def _first_line(data: bytes, source: str) -> bytes:
    line = data.partition(b"\n")[0].rstrip(b"\r")
    if not line:
        raise KeyStoreError(f"no passphrase in {source}")
    return line
