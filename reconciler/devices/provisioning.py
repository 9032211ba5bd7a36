# SPDX-License-Identifier: Apache-2.0
"""A device's first flash content: what the fleet repository says of it, and where that goes.

Whatever is wrong with it is told before anything is written. The content holds the device's private seed: it shows
its places and lengths, and never itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from reconciler.devices.flash_image import HEADER_BYTES, PREBAKED_MAX, Identity, pack_offsets, provisioned_region
from reconciler.errors import Invalid
from reconciler.model import Desired, Device, DeviceType, FlashMap, ModelRef, Region, SerialAddress
from signing.identifiers import EngineContract, target

ERASED = b"\xff"


class NotProvisionable(Invalid):
    """The fleet repository does not say enough, or something impossible, of a device's flash."""

    reason = "NotProvisionable"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that belong at a place of the flash."""

    name: str
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the map that people read."""

    offset: int
    length: int
    what: str


def identity_of(desired: Desired, device: Device, root_public: bytes, seed: bytes) -> Identity:
    """Say who a device is."""
    kind = desired.types[device.type]
    named = target(desired.fleet.name, device.name, EngineContract(kind.pack_format, kind.operators))
    return Identity(
        vendor=named.vendor,
        class_id=named.klass,
        device=named.device,
        root_public=root_public,
        seed=seed,
        type_name=kind.name,
        fleet=desired.fleet.name,
        name=device.name,
        address=device.link.address if isinstance(device.link, SerialAddress) else 0,
    )


def region_of(identity: Identity, packs: Sequence[bytes]) -> bytes:
    """Return the content of the provisioned region."""
    try:
        return provisioned_region(identity, packs)
    except ValueError as error:
        raise NotProvisionable(f"{identity.name}: {error}") from error


def check(kind: DeviceType, packs: Sequence[bytes]) -> None:
    """Refuse what can't be, before a key is made for it."""
    if len(packs) > PREBAKED_MAX:
        raise NotProvisionable(f"{kind.name}: {len(packs)} pre-baked models, and a device carries {PREBAKED_MAX}")
    if kind.flash is None:
        return
    flash, needed = kind.flash, _length(packs)
    for name, region in (("provisioned", flash.provisioned), ("journal", flash.journal)):
        if region.offset % flash.erase_bytes or region.bytes % flash.erase_bytes:
            raise NotProvisionable(f"{kind.name}: {name} is not made of whole erase units of {flash.erase_bytes} bytes")
        if region.offset + region.bytes > flash.bytes:
            raise NotProvisionable(f"{kind.name}: {name} ends behind the flash of {flash.bytes} bytes")
    if _overlap(flash.provisioned, flash.journal):
        raise NotProvisionable(f"{kind.name}: provisioned and journal overlap")
    if needed > flash.provisioned.bytes:
        room = flash.provisioned.bytes
        raise NotProvisionable(
            f"{kind.name}: identity and pre-baked models need {needed} bytes, provisioned has {room}"
        )


def pieces_of(flash: FlashMap, region: bytes) -> tuple[Piece, ...]:
    """Put the content to its places. The journal comes last: until then nobody takes the device for a new one."""
    filled = region + ERASED * (-len(region) % flash.erase_bytes)
    return (
        Piece("provisioned", flash.provisioned.offset, filled),
        Piece("journal", flash.journal.offset, ERASED * flash.journal.bytes),
    )


def whole(flash: FlashMap, region: bytes) -> bytes:
    """Return the whole flash as it is then: for a board whose flash is a file."""
    start = flash.provisioned.offset
    return ERASED * start + region + ERASED * (flash.bytes - start - len(region))


def map_of(kind: DeviceType, refs: Sequence[ModelRef], packs: Sequence[bytes]) -> tuple[Row, ...]:
    """Describe what would lie where; no key is needed for that."""
    flash = kind.flash
    base = flash.provisioned.offset if flash else 0
    rows = [Row(base, HEADER_BYTES, "identity, root key, the device's own key")]
    for ref, offset, pack in zip(refs, pack_offsets(packs), packs, strict=True):
        rows.append(Row(base + offset, len(pack), f"{ref}, sha256 {hashlib.sha256(pack).hexdigest()}"))
    if flash:
        end, limit = base + _length(packs), base + flash.provisioned.bytes
        rows.append(Row(end, limit - end, "rest of the provisioned region"))
        rows.append(Row(flash.journal.offset, flash.journal.bytes, "journal, erased"))
    return tuple(rows)


def _length(packs: Sequence[bytes]) -> int:
    return pack_offsets(packs)[-1] + len(packs[-1]) if packs else HEADER_BYTES


def _overlap(one: Region, other: Region) -> bool:
    return one.offset < other.offset + other.bytes and other.offset < one.offset + one.bytes
