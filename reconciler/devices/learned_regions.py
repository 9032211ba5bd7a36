# SPDX-License-Identifier: Apache-2.0
"""Parses what a device has learned from and what it has grown (docs/specs/learning.md, sections 2 and 3).

The bytes come from a device that may be hostile: whatever is not as specified is refused, or skipped where the
specification says so.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass

from reconciler.devices.errors import Malformed

_ROWS_HEAD = struct.Struct("<4sI16s4xI")
_ROWS_MAGIC = b"TFR1"
_FOREST_HEAD = struct.Struct("<4sIIHH16s32s")
_FOREST_MAGIC = b"TFG1"
_SHA_AT = 32
_CHECK_START = 0x811C9DC5
_CHECK_PRIME = 0x01000193

FOREST_HEAD_BYTES = _FOREST_HEAD.size


@dataclass(frozen=True, slots=True)
class Lesson:
    """What rows and a forest belong to: a pack, and the value of its parameter `learn-generation`."""

    digest16: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class StoredRows:
    """The rows that a device has collected."""

    lesson: Lesson
    rows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class GrownForest:
    """A forest that a device has accepted."""

    lesson: Lesson
    section: bytes  # FOREST of pack.md
    rows: int
    anomalous: int  # of these rows, to this forest
    sha256: bytes  # of the head and the section


def parse_rows(data: bytes, *, features: int, stride: int) -> StoredRows:
    """Parse the region `rows`, or as much of it as is written. A slot without a valid row is skipped."""
    if len(data) < _ROWS_HEAD.size:
        raise Malformed("rows without their head")
    magic, generation, digest16, crc = _ROWS_HEAD.unpack_from(data)
    if magic != _ROWS_MAGIC or crc != zlib.crc32(data[: _ROWS_HEAD.size - 4]):
        raise Malformed("rows with a damaged head")
    rows = []
    for slot, at in enumerate(range(_ROWS_HEAD.size, len(data) - stride + 1, stride)):
        row = struct.unpack_from(f"<{features}H", data, at)
        if struct.unpack_from("<I", data, at + 2 * features)[0] == row_check(row, slot):
            rows.append(row)
    return StoredRows(Lesson(digest16, generation), tuple(rows))


def row_check(row: tuple[int, ...], slot: int) -> int:
    """Return the check of a row, which is valid in this slot only."""
    check = _CHECK_START + slot
    for value in row:
        check = (check ^ value) * _CHECK_PRIME & 0xFFFFFFFF
    return check


def row_stride(features: int, write_bytes: int) -> int:
    """Return the bytes of a slot."""
    return -(-(2 * features + 4) // write_bytes) * write_bytes


def parse_forest(data: bytes) -> GrownForest:
    """Parse the region `forest`, and check its digest. The section itself is not checked here."""
    if len(data) < _FOREST_HEAD.size:
        raise Malformed("a grown forest without its head")
    magic, generation, size, rows, anomalous, digest16, sha256 = _FOREST_HEAD.unpack_from(data)
    section = data[_FOREST_HEAD.size : _FOREST_HEAD.size + size]
    if magic != _FOREST_MAGIC or not size or len(section) != size:
        raise Malformed("a grown forest with a damaged head")
    if hashlib.sha256(data[:_SHA_AT] + section).digest() != sha256:
        raise Malformed("a grown forest with another digest than its head says")
    return GrownForest(Lesson(digest16, generation), section, rows, anomalous, sha256)
