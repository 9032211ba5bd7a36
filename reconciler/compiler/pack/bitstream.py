# SPDX-License-Identifier: Apache-2.0
"""Bit streams, least significant bit first."""

from __future__ import annotations

from reconciler.compiler.errors import PackMalformed


class BitWriter:
    """Writes fields of any width."""

    def __init__(self) -> None:
        self._value = 0
        self.length = 0
        self._done = bytearray()

    def put(self, value: int, width: int) -> None:
        """Append the low `width` bits of a value."""
        pending = self.length & 7
        self._value |= (value & ((1 << width) - 1)) << pending
        self.length += width
        whole = (pending + width) >> 3
        if whole:
            self._done += (self._value & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
            self._value >>= 8 * whole

    def getvalue(self) -> bytes:
        """Return the bytes; unused bits of the last one are 0."""
        return bytes(self._done) + (bytes([self._value]) if self.length & 7 else b"")


class BitReader:
    """Reads fields of any width, and never past the end."""

    def __init__(self, data: bytes, length: int | None = None) -> None:
        self._data = data
        self.at = 0
        self.length = 8 * len(data) if length is None else length

    def get(self, width: int) -> int:
        """Read a field."""
        end = self.at + width
        if end > self.length:
            raise PackMalformed("the bit stream ends in the middle of a field")
        first, last = self.at >> 3, (end + 7) >> 3
        word = int.from_bytes(self._data[first:last], "little")
        value = (word >> (self.at & 7)) & ((1 << width) - 1)
        self.at = end
        return value
