# SPDX-License-Identifier: Apache-2.0
"""Encodes a pack as a payload: raw, compressed with heatshrink, or as a patch (docs/specs/patch.md)."""

from __future__ import annotations

import heatshrink2

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.pack.package_format import is_package
from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.compiler.payload.patch import apply_patch, make_patch
from reconciler.model import PayloadEncoding

WINDOW_BITS = 8
LOOKAHEAD_BITS = 4


def candidates(pack: bytes, base: bytes | None = None) -> list[EncodedPayload]:
    """Encode a pack in every way, the smallest payload first; raw comes first among equals."""
    found = [EncodedPayload(PayloadEncoding.RAW, pack), EncodedPayload(PayloadEncoding.HEATSHRINK, _compress(pack))]
    if is_package(pack):  # a device with MicroPython decodes no patches
        return sorted(found, key=lambda payload: len(payload.data))
    found.append(EncodedPayload(PayloadEncoding.PATCH, make_patch(pack)))
    if base is not None:
        found.append(EncodedPayload(PayloadEncoding.PATCH, make_patch(pack, base), against_base=True))
    return sorted(found, key=lambda payload: len(payload.data))


def smallest(
    pack: bytes, base: bytes | None = None, *, slot_bytes: int | None = None, sector_bytes: int = 4096
) -> EncodedPayload:
    """Return the smallest payload that a device can decode within its slot."""

    def whole_sectors(size: int) -> int:
        return -(-size // sector_bytes) * sector_bytes

    for payload in candidates(pack, base):
        needed = whole_sectors(len(pack)) + whole_sectors(len(payload.data))
        if payload.encoding is PayloadEncoding.RAW or slot_bytes is None or needed <= slot_bytes:
            return payload
    return EncodedPayload(PayloadEncoding.RAW, pack)


def decode(payload: EncodedPayload, length: int, base: bytes | None = None) -> bytes:
    """Decode a payload as a device does."""
    if payload.encoding is PayloadEncoding.RAW:
        return payload.data
    if payload.encoding is PayloadEncoding.PATCH:
        return apply_patch(payload.data, base or b"", length)
    pack = bytes(heatshrink2.decompress(payload.data, window_sz2=WINDOW_BITS, lookahead_sz2=LOOKAHEAD_BITS))
    if len(pack) < length:
        raise PackMalformed(f"the payload decodes to {len(pack)} bytes, not {length}")
    return pack[:length]


def _compress(pack: bytes) -> bytes:
    return bytes(heatshrink2.compress(pack, window_sz2=WINDOW_BITS, lookahead_sz2=LOOKAHEAD_BITS))
