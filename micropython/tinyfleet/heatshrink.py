# SPDX-License-Identifier: Apache-2.0
"""Decodes payloads that are compressed with heatshrink (window of 8 bits, lookahead of 4)."""

from tinyfleet.errors import STREAM, Refused

_WINDOW = 256
_PIECE = 256


class Decoder:
    """Reads a compressed file as if it were the file that was compressed."""

    def __init__(self, file: object, length: int) -> None:
        self._file = file
        self._left = length  # of the decoded bytes; what follows is padding
        self._piece = b""
        self._at = 0
        self._held = 0  # bits that were read from the piece and not used yet
        self._bits = 0
        self._window = bytearray(_WINDOW)
        self._position = 0
        self._copy: tuple[int, int] = (0, 0)  # bytes left of a back-reference, and its distance

    def _take(self, count: int) -> int:
        while self._bits < count:
            if self._at == len(self._piece):
                self._piece, self._at = self._file.read(_PIECE), 0
                if not self._piece:
                    raise Refused(STREAM)
            self._held = self._held << 8 | self._piece[self._at]
            self._at += 1
            self._bits += 8
        self._bits -= count
        value = self._held >> self._bits
        self._held &= (1 << self._bits) - 1
        return value

    def _next(self) -> int:
        left, distance = self._copy
        if left == 0 and not self._take(1):
            distance, left = self._take(8) + 1, self._take(4) + 1
        if left:
            byte = self._window[(self._position - distance) % _WINDOW]
            self._copy = (left - 1, distance)
        else:
            byte = self._take(8)
        self._window[self._position % _WINDOW] = byte
        self._position += 1
        return byte

    def read(self, count: int) -> bytes:
        """Return the next decoded bytes: fewer only at the end."""
        count = min(count, self._left)
        self._left -= count
        return bytes([self._next() for _ in range(count)])
