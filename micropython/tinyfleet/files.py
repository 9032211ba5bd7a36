# SPDX-License-Identifier: Apache-2.0
"""The few functions of a file system that the agent needs."""

import os


def sync() -> None:
    """Flush the file system, where it has a cache."""
    if hasattr(os, "sync"):
        os.sync()


def remove(path: str) -> None:
    """Remove a file that may not exist."""
    try:
        os.remove(path)
    except OSError:
        return


def size_of(path: str) -> int:
    """Return the size of a file; 0 if there is none."""
    try:
        return os.stat(path)[6]
    except OSError:
        return 0


def make_folder(path: str) -> None:
    """Make a folder that may exist; if it can't be made, the first file in it fails."""
    try:
        os.mkdir(path)
    except OSError:
        return
