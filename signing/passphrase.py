# SPDX-License-Identifier: Apache-2.0
"""Where a passphrase may come from: a private file or an open file descriptor. Never the command line."""

from __future__ import annotations

import os
from pathlib import Path

from signing.key_files import KeyStoreError, read_private

LARGEST_PASSPHRASE = 4096


def from_file(path: Path) -> bytes:
    """Read the first line of a file that nobody else may touch."""
    return _first_line(read_private(path), str(path))


def from_descriptor(descriptor: int) -> bytes:
    """Read the first line from a descriptor that the caller's parent opened."""
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _first_line(file.readline(LARGEST_PASSPHRASE), f"descriptor {descriptor}")
    except OSError as error:
        raise KeyStoreError(f"can't read descriptor {descriptor}: {error.strerror}") from error


def _first_line(data: bytes, source: str) -> bytes:
    line = data.partition(b"\n")[0].rstrip(b"\r")
    if not line:
        raise KeyStoreError(f"no passphrase in {source}")
    return line
