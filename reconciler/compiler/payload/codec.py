# SPDX-License-Identifier: Apache-2.0
"""What travels: a pack raw, compressed or as a patch, whichever is smallest (docs/specs/patch.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import heatshrink2

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.payload.patch import apply_patch, make_patch

WINDOW_BITS = 8
LOOKAHEAD_BITS = 4


class PayloadEncoding(IntEnum):
    """How a payload is encoded: the number that protocol.md gives it."""

    RAW = 0
    HEATSHRINK = 1
    PATCH = 2


@dataclass(frozen=True, slots=True)
class EncodedPayload:
    """Bytes to send, and how a device gets the pack from them."""

    encoding: PayloadEncoding
    data: bytes
    against_base: bool = False


def candidates(pack: bytes, base: bytes | None = None) -> list[EncodedPayload]:
    """Return every form that a pack can travel in, the smallest first; raw wins a draw."""
    found = [
        EncodedPayload(PayloadEncoding.RAW, pack),
        EncodedPayload(PayloadEncoding.HEATSHRINK, _compress(pack)),
        EncodedPayload(PayloadEncoding.PATCH, make_patch(pack)),
    ]
    if base is not None:
        found.append(EncodedPayload(PayloadEncoding.PATCH, make_patch(pack, base), against_base=True))
    return sorted(found, key=lambda payload: len(payload.data))


def smallest(
    pack: bytes, base: bytes | None = None, *, slot_bytes: int | None = None, sector_bytes: int = 4096
) -> EncodedPayload:
    """Return the smallest payload that a device can decode within its slot."""

    def sectors(count: int) -> int:
        return -(-count // sector_bytes) * sector_bytes

    for payload in candidates(pack, base):
        room = sectors(len(pack)) + sectors(len(payload.data))
        if payload.encoding is PayloadEncoding.RAW or slot_bytes is None or room <= slot_bytes:
            return payload
    return EncodedPayload(PayloadEncoding.RAW, pack)


def decode(payload: EncodedPayload, length: int, base: bytes | None = None) -> bytes:
    """Return the pack, as a device decodes it."""
    if payload.encoding is PayloadEncoding.RAW:
        return payload.data
    if payload.encoding is PayloadEncoding.PATCH:
        return apply_patch(payload.data, base or b"", length)
    pack = bytes(heatshrink2.decompress(payload.data, window_sz2=WINDOW_BITS, lookahead_sz2=LOOKAHEAD_BITS))
    if len(pack) < length:
        raise PackMalformed(f"the payload makes {len(pack)} bytes, not {length}")
    return pack[:length]


def _compress(pack: bytes) -> bytes:
    return bytes(heatshrink2.compress(pack, window_sz2=WINDOW_BITS, lookahead_sz2=LOOKAHEAD_BITS))
