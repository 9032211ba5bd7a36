# SPDX-License-Identifier: Apache-2.0
"""Encodes the provisioned region of a device's flash (docs/specs/flash.md, section 1).

The region is written once, when the device is provisioned. It holds the identity, the trusted root key, the device's
private key, and the pre-baked models that updates never touch. The bytes contain a private key and must be protected
like one.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAGIC: Final = b"TFPV"
VERSION: Final = 1
HEADER_BYTES: Final = 640
PREBAKED_MAX: Final = 8
ADDRESS_MAX: Final = 247
_PACK_ALIGNMENT: Final = 8
_PLAIN: Final = struct.Struct("<4sHH16s16s16s32s32s32sBBH32s64s64s")
_ENTRY: Final = struct.Struct("<II32s")
_ERASED: Final = b"\xff"


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a device, and the root key that it trusts."""

    vendor: bytes
    class_id: bytes
    device: bytes
    root_public: bytes
    seed: bytes = field(repr=False)
    type_name: str
    fleet: str
    name: str
    address: int = 0  # on a serial line, 1 to 247; 0: not on a serial line

    def __post_init__(self) -> None:
        """Reject values that the region can't hold."""
        for label, value, length in (
            ("vendor id", self.vendor, 16),
            ("class id", self.class_id, 16),
            ("device id", self.device, 16),
            ("root key", self.root_public, 32),
            ("seed", self.seed, 32),
        ):
            if len(value) != length:
                raise ValueError(f"the {label} has {len(value)} bytes, expected {length}")
        if not 0 <= self.address <= ADDRESS_MAX:
            raise ValueError(f"the serial address {self.address} must be between 0 and {ADDRESS_MAX}")

    @property
    def public(self) -> bytes:
        """The public key that verifies this device's reports."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()


def provisioned_region(identity: Identity, prebaked: Sequence[bytes] = ()) -> bytes:
    """Return the first bytes of the provisioned region: the header, followed by the pre-baked packs."""
    if len(prebaked) > PREBAKED_MAX:
        raise ValueError(f"{len(prebaked)} pre-baked packs, but a device holds at most {PREBAKED_MAX}")
    entries, packs = b"", b""
    for offset, pack in zip(pack_offsets(prebaked), prebaked, strict=True):
        packs = packs.ljust(offset - HEADER_BYTES, _ERASED) + pack
        entries += _ENTRY.pack(offset, len(pack), hashlib.sha256(pack).digest())
    header = _plain_part(identity, len(prebaked)) + entries.ljust(PREBAKED_MAX * _ENTRY.size, b"\0")
    return header + struct.pack("<I", zlib.crc32(header)) + packs


def pack_offsets(prebaked: Sequence[bytes]) -> tuple[int, ...]:
    """Return the offset of each pack in the region."""
    offsets, end = [], HEADER_BYTES
    for pack in prebaked:
        end += -end % _PACK_ALIGNMENT
        offsets.append(end)
        end += len(pack)
    return tuple(offsets)


def _plain_part(identity: Identity, prebaked_count: int) -> bytes:
    return _PLAIN.pack(
        *(MAGIC, VERSION, HEADER_BYTES),
        *(identity.vendor, identity.class_id, identity.device),
        *(identity.root_public, identity.public, identity.seed),
        *(identity.address, prebaked_count, 0),
        _text(identity.type_name, 32),
        _text(identity.fleet, 64),
        _text(identity.name, 64),
    )


def _text(text: str, size: int) -> bytes:
    encoded = text.encode()
    if len(encoded) >= size or b"\0" in encoded:
        raise ValueError(f"the name {text!r} does not fit {size - 1} bytes of UTF-8 without zero bytes")
    return encoded.ljust(size, b"\0")
