# SPDX-License-Identifier: Apache-2.0
"""A strict CBOR reader (docs/specs/envelope.md section 4): it rejects every byte that the profile does not expect.

It is written by hand so that it rejects input for the same reason and at the same offset as the reader in C. Encoding
is left to cbor2, whose definite lengths and shortest heads match the profile.
"""

from __future__ import annotations

from typing import Any

import cbor2

from signing.verification_error import VerificationCode, require

UINT, NINT, BYTES, _, ARRAY, MAP, TAG, SIMPLE = range(8)
NULL = 22
ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4}
EIGHT_BYTE_ARGUMENT = 27
INT32_MAX = 2**31 - 1


def encode(value: Any) -> bytes:  # noqa: ANN401 - any CBOR value
    """Encode a value. Maps keep the order given, so the caller passes the deterministic order of the profile."""
    return cbor2.dumps(value)


class CborReader:
    """Reads one byte string from start to end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def _take(self, count: int) -> bytes:
        require(self.at + count <= len(self._data), VerificationCode.TRUNCATED, f"{count} bytes expected at {self.at}")
        taken = self._data[self.at : self.at + count]
        self.at += count
        return taken

    def head(self) -> tuple[int, int]:
        """Read an initial byte and its argument; return the major type and the argument."""
        start = self.at
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 31
        if info < min(ARGUMENT_BYTES):
            return major, info
        require(info <= EIGHT_BYTE_ARGUMENT, VerificationCode.NOT_CANONICAL, f"indefinite or reserved head at {start}")
        require(info != EIGHT_BYTE_ARGUMENT, VerificationCode.OUT_OF_RANGE, f"an argument of 8 bytes at {start}")
        width = ARGUMENT_BYTES[info]
        argument = int.from_bytes(self._take(width), "big")
        minimum = min(ARGUMENT_BYTES) if width == 1 else 1 << (4 * width)
        require(argument >= minimum, VerificationCode.NOT_CANONICAL, f"not the shortest head at {start}")
        return major, argument

    def _argument(self, expected: int) -> int:
        start = self.at
        major, argument = self.head()
        require(major == expected, VerificationCode.UNEXPECTED, f"major type {major} at {start}, expected {expected}")
        return argument

    def _exactly(self, major: int, value: int) -> None:
        start = self.at
        found = self._argument(major)
        require(found == value, VerificationCode.UNEXPECTED, f"{found} at {start}, expected {value}")

    def tag(self, number: int) -> None:
        """Expect a tag with this number."""
        self._exactly(TAG, number)

    def null(self) -> None:
        """Expect nil."""
        self._exactly(SIMPLE, NULL)

    def array(self, count: int) -> None:
        """Expect an array with this number of items."""
        self._exactly(ARRAY, count)

    def map(self, count: int) -> None:
        """Expect a map with this number of pairs."""
        self._exactly(MAP, count)

    def count(self, major: int) -> int:
        """Read the number of entries of a map or an array."""
        return self._argument(major)

    def count_of(self, major: int, allowed: tuple[int, ...]) -> int:
        """Read the number of entries of a map or an array, and expect one of the allowed values."""
        start = self.at
        found = self.count(major)
        require(found in allowed, VerificationCode.UNEXPECTED, f"{found} items at {start}, expected one of {allowed}")
        return found

    def uint(self, maximum: int, minimum: int = 0) -> int:
        """Read an unsigned integer within a range."""
        start = self.at
        found = self._argument(UINT)
        require(minimum <= found <= maximum, VerificationCode.OUT_OF_RANGE, f"{found} at {start}")
        return found

    def integer(self) -> int:
        """Read a signed 32-bit integer."""
        start = self.at
        major, argument = self.head()
        require(
            major in (UINT, NINT), VerificationCode.UNEXPECTED, f"major type {major} at {start}, expected an integer"
        )
        require(argument <= INT32_MAX, VerificationCode.OUT_OF_RANGE, f"more than 32 bits at {start}")
        return argument if major == UINT else -1 - argument

    def constants(self, *values: int) -> None:
        """Expect these integers in sequence."""
        for value in values:
            self._exactly(*((UINT, value) if value >= 0 else (NINT, -1 - value)))

    def byte_string(self, size: int | None = None) -> bytes:
        """Read a byte string; check its size if one is given."""
        start = self.at
        content = self._take(self._argument(BYTES))
        require(
            size in (None, len(content)),
            VerificationCode.UNEXPECTED,
            f"{len(content)} bytes at {start}, expected {size}",
        )
        return content

    def literal(self, expected: bytes) -> None:
        """Expect this byte string."""
        start = self.at
        require(
            self.byte_string() == expected,
            VerificationCode.UNEXPECTED,
            f"unexpected byte string at {start}, expected {expected.hex()}",
        )

    def inner(self) -> CborReader:
        """Read a byte string and return a reader over its content."""
        return CborReader(self.byte_string())

    def end(self) -> None:
        """Expect the end of the data."""
        require(
            self.at == len(self._data),
            VerificationCode.TRAILING,
            f"{len(self._data) - self.at} bytes left at {self.at}",
        )
