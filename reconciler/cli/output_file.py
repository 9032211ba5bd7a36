# SPDX-License-Identifier: Apache-2.0
"""The file of `--out`."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import Unusable


class OutputNotWritten(Unusable):
    """A file or a folder cannot be written."""


def write_output(path: Path, data: bytes) -> None:
    """Write a file, and name it if that fails."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputNotWritten(f"{path}: {error.strerror}") from error
