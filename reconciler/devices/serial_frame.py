# SPDX-License-Identifier: Apache-2.0
"""Frames of a serial line (docs/specs/protocol.md section 3): COBS around address, message and CRC-32.

A wrong CRC locates a single flipped bit: the difference between the received and the expected CRC is the *syndrome*,
and each bit position has its own. So a single bit error is repaired without retransmission, which makes noisy lines
usable.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

DELIMITER = b"\0"
CRC_BYTES = 4
POLYNOMIAL = 0xEDB88320
HEADER_BYTES = 1  # the address
RUN_BYTES_MAX = 254  # COBS: the longest run of bytes after a code byte


@dataclass(frozen=True, slots=True)
class SerialFrame:
    """One frame that arrived intact or was repaired."""

    address: int
    message: bytes
    corrected: bool = False


def encode_frame(address: int, message: bytes, *, opening: bool = False) -> bytes:
    """Return the bytes for the wire; `opening` adds a delimiter that ends any noise before the frame."""
    body = bytes([address]) + message
    coded = cobs_encode(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little"))
    return (DELIMITER if opening else b"") + coded + DELIMITER


def decode_frame(coded: bytes) -> SerialFrame | None:
    """Decode the bytes between two delimiters; return None if they can't be repaired."""
    body = cobs_decode(coded)
    if body is None or len(body) <= HEADER_BYTES + CRC_BYTES:
        return None
    syndrome = zlib.crc32(body[:-CRC_BYTES]) ^ int.from_bytes(body[-CRC_BYTES:], "little")
    if syndrome:
        at = _SYNDROMES.find(syndrome, len(body) * 8)
        if at is None:
            return None
        repaired = bytearray(body)
        repaired[-1 - at // 8] ^= 0x80 >> at % 8
        body = bytes(repaired)
    return SerialFrame(body[0], body[HEADER_BYTES:-CRC_BYTES], corrected=bool(syndrome))


def cobs_encode(data: bytes) -> bytes:
    """Encode so that no byte is zero."""
    coded = bytearray()
    runs = data.split(b"\0")
    for number, run in enumerate(runs):
        pieces = [run[at : at + RUN_BYTES_MAX] for at in range(0, len(run), RUN_BYTES_MAX)] or [b""]
        for piece in pieces:
            coded += bytes([len(piece) + 1]) + piece
        if len(pieces[-1]) == RUN_BYTES_MAX and number < len(runs) - 1:
            coded += b"\x01"  # a full run implies no zero, so the zero that follows needs its own code
    return bytes(coded)


def cobs_decode(coded: bytes) -> bytes | None:
    """Decode COBS; return None if a code byte points beyond the end or a zero occurs."""
    data = bytearray()
    at = 0
    while at < len(coded):
        code = coded[at]
        run = coded[at + 1 : at + code]
        if code == 0 or len(run) != code - 1 or 0 in run:
            return None
        data += run
        at += code
        if code <= RUN_BYTES_MAX and at < len(coded):
            data.append(0)
    return bytes(data)


class _Syndromes:
    """The syndromes of single bit errors, by distance from the end of the frame."""

    def __init__(self) -> None:
        self._distance: dict[int, int] = {}
        self._last = 0

    def find(self, syndrome: int, bits: int) -> int | None:
        """Return the distance of the error from the frame's end in bits; None if it is not a single bit."""
        while len(self._distance) < bits:
            self._step()
        at = self._distance.get(syndrome)
        return at if at is not None and at < bits else None

    def _step(self) -> None:
        number = len(self._distance)
        if number < CRC_BYTES * 8:  # in the CRC itself, whose last byte holds the highest bits
            self._last = 1 << (31 - number)
        elif number == CRC_BYTES * 8:  # the last bit of the message: from here on the CRC's shift register applies
            self._last = POLYNOMIAL
        else:
            self._last = (self._last >> 1) ^ (POLYNOMIAL if self._last & 1 else 0)
        self._distance[self._last] = number


_SYNDROMES = _Syndromes()


class Deframer:
    """Splits a stream of bytes into frames, and counts good, corrected and bad ones."""

    def __init__(self, *, coded_bytes_max: int) -> None:
        self.good = 0
        self.corrected = 0
        self.bad = 0
        self._limit = coded_bytes_max
        self._pending = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[SerialFrame]:
        """Process received bytes; return the frames that they complete."""
        frames: list[SerialFrame] = []
        *closed, rest = data.split(DELIMITER)
        for piece in closed:
            self._take(piece)
            frame = self._close()
            if frame is not None:
                frames.append(frame)
        self._take(rest)
        return frames

    @property
    def unfinished(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._pending) or self._skipping

    def reset(self) -> None:
        """Discard an unfinished frame, because the line changed direction."""
        if self.unfinished:
            self.bad += 1
        self._pending.clear()
        self._skipping = False

    def _take(self, piece: bytes) -> None:
        if self._skipping:
            return
        self._pending += piece
        if len(self._pending) > self._limit:
            self._pending.clear()
            self._skipping = True

    def _close(self) -> SerialFrame | None:
        coded, skipped = bytes(self._pending), self._skipping
        self._pending.clear()
        self._skipping = False
        if not coded and not skipped:
            return None
        frame = None if skipped else decode_frame(coded)
        if frame is None:
            self.bad += 1
        elif frame.corrected:
            self.corrected += 1
        else:
            self.good += 1
        return frame
