# SPDX-License-Identifier: Apache-2.0
"""Prepares a device's first flash content from the fleet repository.

All problems are reported before anything is written. The content includes the device's private seed, so its repr shows
only offsets and lengths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from reconciler.devices.flash_image import HEADER_BYTES, PREBAKED_MAX, Identity, pack_offsets, provisioned_region
from reconciler.errors import Invalid
from reconciler.model import Desired, Device, DeviceType, FlashMap, ModelRef, Region, Runtime, SerialAddress
from signing.identifiers import EngineContract, PackageContract, target

ERASED = b"\xff"


class NotProvisionable(Invalid):
    """The fleet repository's description of the device's flash is incomplete or impossible."""

    reason = "NotProvisionable"


@dataclass(frozen=True, slots=True)
class FlashPiece:
    """Bytes and their offset in the flash."""

    name: str
    offset: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the flash map that people read."""

    offset: int
    length: int
    what: str


def identity_of(desired: Desired, device: Device, root_public: bytes, seed: bytes) -> Identity:
    """Return the identity of a device."""
    kind = desired.types[device.type]
    contract: EngineContract | PackageContract = EngineContract(kind.pack_format, kind.operators)
    if kind.runtime is Runtime.MICROPYTHON:
        contract = PackageContract(kind.operators, kind.pack_format)
    named = target(desired.fleet.name, device.name, contract)
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
    """Reject an impossible layout, before a key is made for the device."""
    if len(packs) > PREBAKED_MAX:
        raise NotProvisionable(f"{kind.name}: {len(packs)} pre-baked models, but a device holds at most {PREBAKED_MAX}")
    if kind.flash is None:
        return
    flash, needed = kind.flash, _length(packs)
    for name, region in (("provisioned", flash.provisioned), ("journal", flash.journal)):
        if region.offset % flash.erase_bytes or region.bytes % flash.erase_bytes:
            raise NotProvisionable(f"{kind.name}: {name} is not aligned to erase units of {flash.erase_bytes} bytes")
        if region.offset + region.bytes > flash.bytes:
            raise NotProvisionable(f"{kind.name}: {name} exceeds the flash of {flash.bytes} bytes")
    if _overlap(flash.provisioned, flash.journal):
        raise NotProvisionable(f"{kind.name}: provisioned and journal overlap")
    if needed > flash.provisioned.bytes:
        available = flash.provisioned.bytes
        raise NotProvisionable(
            f"{kind.name}: identity and pre-baked models need {needed} bytes, the provisioned region has {available}"
        )


def pieces_of(flash: FlashMap, region: bytes) -> tuple[FlashPiece, ...]:
    """Return the pieces to write. The journal comes last: until then the device does not look like a new one."""
    filled = region + ERASED * (-len(region) % flash.erase_bytes)
    return (
        FlashPiece("provisioned", flash.provisioned.offset, filled),
        FlashPiece("journal", flash.journal.offset, ERASED * flash.journal.bytes),
    )


def whole(flash: FlashMap, region: bytes) -> bytes:
    """Return the whole flash image, for a board whose flash is a file."""
    start = flash.provisioned.offset
    return ERASED * start + region + ERASED * (flash.bytes - start - len(region))


def map_of(kind: DeviceType, refs: Sequence[ModelRef], packs: Sequence[bytes]) -> tuple[Row, ...]:
    """Describe the flash map; this needs no key."""
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
