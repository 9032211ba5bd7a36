# SPDX-License-Identifier: Apache-2.0
"""Strict CBOR, as docs/specs/envelope.md section 4 defines it: a reader that expects, and functions that write."""

from tinyfleet.errors import NOT_CANONICAL, OUT_OF_RANGE, TRAILING, TRUNCATED, UNEXPECTED, Refused

UINT, NINT, BSTR, TSTR, ARRAY, MAP, TAG, SIMPLE = range(8)
NULL = b"\xf6"
TRUE = b"\xf5"
FALSE = b"\xf4"
_INT32_MAX = 0x7FFFFFFF


class Reader:
    """Reads bytes from front to back. The first item that is not as expected raises Refused."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def left(self) -> int:
        """Return how many bytes are left."""
        return len(self.data) - self.at

    def peek(self) -> int:
        """Return the major type of the next item, or -1 at the end."""
        return self.data[self.at] >> 5 if self.left() else -1

    def _any_head(self) -> tuple[int, int]:
        if not self.left():
            raise Refused(TRUNCATED)
        first = self.data[self.at]
        self.at += 1
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info
        if info > 26:
            raise Refused(OUT_OF_RANGE if info == 27 else NOT_CANONICAL)
        length = 1 << (info - 24)
        if self.left() < length:
            raise Refused(TRUNCATED)
        argument = int.from_bytes(self.data[self.at : self.at + length], "big")
        self.at += length
        if argument < (24 if info == 24 else 1 << (4 * length)):
            raise Refused(NOT_CANONICAL)
        return major, argument

    def head(self, major: int) -> int:
        """Read a head of this major type; return its argument."""
        found, argument = self._any_head()
        if found != major:
            raise Refused(UNEXPECTED)
        if major in {BSTR, TSTR} and argument > self.left():
            raise Refused(TRUNCATED)
        return argument

    def expect(self, major: int, argument: int) -> None:
        """Read a head that must have this argument."""
        if self.head(major) != argument:
            raise Refused(UNEXPECTED)

    def expect_items(self, encoded: bytes) -> None:
        """Read exactly these items: heads, and byte strings with their content."""
        wanted = Reader(encoded)
        while wanted.left():
            major, argument = wanted._any_head()
            self.expect(major, argument)
            if major in {BSTR, TSTR} and self.take(argument) != wanted.take(argument):
                raise Refused(UNEXPECTED)

    def take(self, length: int) -> bytes:
        """Return the next bytes, which a head has announced."""
        self.at += length
        return self.data[self.at - length : self.at]

    def number(self) -> int:
        """Read an integer of 32 bits with a sign."""
        major = NINT if self.peek() == NINT else UINT
        argument = self.head(major)
        if argument > _INT32_MAX:
            raise Refused(OUT_OF_RANGE)
        return -1 - argument if major == NINT else argument

    def positive(self) -> int:
        """Read a number of 1 ... 2^32 - 1."""
        value = self.head(UINT)
        if value == 0:
            raise Refused(OUT_OF_RANGE)
        return value

    def octets(self) -> bytes:
        """Read a byte string."""
        return self.take(self.head(BSTR))

    def octets_of(self, length: int) -> bytes:
        """Read a byte string of this length."""
        value = self.octets()
        if len(value) != length:
            raise Refused(UNEXPECTED)
        return value

    def inner(self) -> "Reader":
        """Read a byte string; return a reader for the items in it."""
        return Reader(self.octets())

    def end(self) -> None:
        """Check that nothing is left."""
        if self.left():
            raise Refused(TRAILING)


def head(major: int, argument: int) -> bytes:
    """Write a head."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    for info, length in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument >> (8 * length) == 0:
            return bytes((major << 5 | info,)) + argument.to_bytes(length, "big")
    raise ValueError(argument)


def number(value: int) -> bytes:
    """Write an integer."""
    return head(NINT, -1 - value) if value < 0 else head(UINT, value)


def octets(value: bytes) -> bytes:
    """Write a byte string."""
    return head(BSTR, len(value)) + value


def text(value: str) -> bytes:
    """Write a text string."""
    encoded = value.encode()
    return head(TSTR, len(encoded)) + encoded


def array(*items: bytes) -> bytes:
    """Write an array of items that are already encoded."""
    return head(ARRAY, len(items)) + b"".join(items)


def mapping(values: "list[tuple[int, int]]") -> bytes:
    """Write a map of integers whose keys ascend."""
    return head(MAP, len(values)) + b"".join([number(key) + number(value) for key, value in values])
