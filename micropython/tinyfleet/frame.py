# SPDX-License-Identifier: Apache-2.0
"""Frames of a serial line: address, message and CRC-32 in COBS (docs/specs/protocol.md section 3)."""

from binascii import crc32

_POLYNOMIAL = 0xEDB88320
_CRC_BYTES = 4
_SHORTEST = 2 + _CRC_BYTES  # address and one byte of message


def encode(address: int, message: bytes) -> bytes:
    """Return the bytes of a frame, with 00 on both sides."""
    data = bytes((address,)) + message
    data += crc32(data).to_bytes(_CRC_BYTES, "little")
    out = bytearray(b"\0")
    runs = data.split(b"\0")
    for number, run in enumerate(runs):
        at = 0
        while len(run) - at > 254 or (len(run) - at == 254 and number < len(runs) - 1):  # ff stands for no zero
            out += b"\xff" + run[at : at + 254]
            at += 254
        out += bytes((len(run) - at + 1,)) + run[at:]
    return bytes(out) + b"\0"


def decode(coded: bytes) -> "bytes | None":
    """Return what COBS stands for, or None when a run is cut short."""
    out, at = bytearray(), 0
    while at < len(coded):
        code = coded[at]
        run = coded[at + 1 : at + code]
        if len(run) != code - 1:
            return None
        out += run
        at += code
        if code != 255 and at < len(coded):
            out.append(0)
    return bytes(out)


def _corrected(data: bytes, syndrome: int) -> "bytes | None":
    """Flip back the single bit that has this syndrome, as firmware/src/codec/frame.c explains."""
    if syndrome & (syndrome - 1) == 0:
        return data  # the flipped bit is in the CRC
    of_bit = _POLYNOMIAL  # the syndrome of bit 7 of the last byte
    for at in range(len(data) - 1, -1, -1):
        for bit in range(7, -1, -1):
            if of_bit == syndrome:
                return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
            of_bit = of_bit >> 1 ^ (_POLYNOMIAL if of_bit & 1 else 0)
    return None


class Receiver:
    """Finds frames in the bytes of a line."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity  # of a decoded frame, with address and CRC
        self._coded = bytearray()
        self._dropping = False

    def push(self, data: bytes) -> "list[tuple[int, bytes, bool]]":
        """Take bytes from the line; return the frames that they complete: address, message, and if it was corrected."""
        found = []
        pieces = data.split(b"\0")
        for number, piece in enumerate(pieces):
            if not self._dropping:
                self._coded += piece
                self._dropping = len(self._coded) > self._capacity + self._capacity // 254 + 1
            if number < len(pieces) - 1:
                frame = None if self._dropping else self._finish(bytes(self._coded))
                if frame is not None:
                    found.append(frame)
                self._coded = bytearray()
                self._dropping = False
        return found

    def _finish(self, coded: bytes) -> "tuple[int, bytes, bool] | None":
        data = decode(coded)
        if data is None or not _SHORTEST <= len(data) <= self._capacity:
            return None
        covered = data[:-_CRC_BYTES]
        syndrome = crc32(covered) ^ int.from_bytes(data[-_CRC_BYTES:], "little")
        right = covered if syndrome == 0 else _corrected(covered, syndrome)
        return None if right is None else (right[0], right[1:], syndrome != 0)
