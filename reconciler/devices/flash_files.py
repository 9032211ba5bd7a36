# SPDX-License-Identifier: Apache-2.0
"""Files of flash content that programmers and boot loaders take: Intel HEX and UF2.

Both state addresses in the chip's memory: a file has only the regions that provisioning writes, and nothing else is
erased.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from reconciler.devices.initial_flash_content import FlashPiece

# family ids that boot loaders compare with, from https://github.com/microsoft/uf2 (utils/uf2families.json)
UF2_FAMILIES: Final[Mapping[str, int]] = MappingProxyType(
    {"rp2040": 0xE48BFF56, "nrf52833": 0x621E937A, "nrf52840": 0xADA52840, "samd51": 0x55114460}
)
_HEX_BYTES: Final = 16
_SEGMENT: Final = 1 << 16
_DATA, _END, _HIGH_ADDRESS = 0, 1, 4  # types of records
_UF2_BYTES: Final = 256
_UF2_DATA_BYTES: Final = 476
_UF2_START: Final = (0x0A324655, 0x9E5D5157)
_UF2_END: Final = 0x0AB16F30
_UF2_FAMILY_PRESENT: Final = 0x2000


def intel_hex(pieces: Sequence[FlashPiece], address: int) -> bytes:
    """Return the pieces as Intel HEX; ``address`` is that of flash."""
    lines, high = [], None
    for piece in pieces:
        for at, data in _chunks(piece, address, _HEX_BYTES):
            if at // _SEGMENT != high:
                high = at // _SEGMENT
                lines.append(_record(_HIGH_ADDRESS, 0, high.to_bytes(2, "big")))
            lines.append(_record(_DATA, at % _SEGMENT, data))
    return "".join([*lines, _record(_END, 0, b"")]).encode()


def uf2(pieces: Sequence[FlashPiece], address: int, family: str) -> bytes:
    """Return the pieces as UF2; ``address`` is that of flash, ``family`` one of `UF2_FAMILIES`."""
    chunks = [chunk for piece in pieces for chunk in _chunks(piece, address, _UF2_BYTES)]
    blocks = []
    for number, (at, data) in enumerate(chunks):
        head = (*_UF2_START, _UF2_FAMILY_PRESENT, at, _UF2_BYTES, number, len(chunks), UF2_FAMILIES[family])
        filled = data.ljust(_UF2_BYTES, b"\xff").ljust(_UF2_DATA_BYTES, b"\0")
        blocks.append(struct.pack("<8I", *head) + filled + struct.pack("<I", _UF2_END))
    return b"".join(blocks)


def _chunks(piece: FlashPiece, address: int, most: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(piece.data), most):
        yield address + piece.offset + start, piece.data[start : start + most]


def _record(kind: int, offset: int, data: bytes) -> str:
    body = struct.pack(">BHB", len(data), offset, kind) + data
    return f":{(body + bytes([-sum(body) % 256])).hex().upper()}\n"
