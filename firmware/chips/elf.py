# SPDX-License-Identifier: Apache-2.0
"""Reads what a programmer writes to a chip from an ELF file: the segments with contents, at their load addresses."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

_PROGRAM_HEADER: Final = struct.Struct("<8I")
_LOAD: Final = 1


def read_segments(path: Path) -> dict[int, bytes]:
    """Return load address → contents of a 32-bit little-endian ELF file."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x01\x01":
        raise ValueError(f"{path.name} is not a 32-bit little-endian ELF file")
    (table,) = struct.unpack_from("<I", data, 28)
    entry_bytes, count = struct.unpack_from("<HH", data, 42)
    segments = {}
    for index in range(count):
        kind, offset, _, load_address, file_bytes, *_ = _PROGRAM_HEADER.unpack_from(data, table + index * entry_bytes)
        if kind == _LOAD and file_bytes:
            segments[load_address] = data[offset : offset + file_bytes]
    return segments
