# SPDX-License-Identifier: Apache-2.0
"""Derives the identifiers in signed bytes from names and keys (docs/specs/envelope.md section 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

NAMESPACE = UUID("b49a0ba1-a3c8-4a3f-8f6d-517437b4066a")
KEY_ID_BYTES = 8
UUID_BYTES = 16
PROTOCOL = 1  # docs/specs/protocol.md
PACKAGE_FORMAT = 1  # docs/specs/package.md


def key_id(public_key: bytes) -> bytes:
    """Return the id of a public key."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


def vendor_id(fleet: str) -> bytes:
    """Return the vendor id of a fleet."""
    return uuid5(NAMESPACE, fleet).bytes


def device_id(vendor: bytes, device: str) -> bytes:
    """Return the id of a device of a fleet."""
    if "/" in device:
        raise ValueError(f"a device name can't contain '/': {device!r}")  # otherwise it could collide with a class
    return uuid5(UUID(bytes=vendor), device).bytes


@dataclass(frozen=True, slots=True)
class EngineContract:
    """What a device's engine supports; it does not depend on the processor."""

    pack_format: int
    operators: frozenset[str]
    protocol: int = PROTOCOL


@dataclass(frozen=True, slots=True)
class PackageContract:
    """What a device that runs packages in MicroPython supports (docs/specs/package.md section 2)."""

    operators: frozenset[str]
    package_format: int = PACKAGE_FORMAT
    protocol: int = PROTOCOL


def class_id(vendor: bytes, contract: EngineContract | PackageContract) -> bytes:
    """Return the id of a contract, which keeps models away from devices that cannot run them."""
    if isinstance(contract, EngineContract):
        kind = f"engine/pack={contract.pack_format}"
    else:
        kind = f"package/micropython={contract.package_format}"
    name = f"{kind}/protocol={contract.protocol}/operators={_sorted(contract.operators)}"
    return uuid5(UUID(bytes=vendor), name).bytes


def _sorted(operators: Iterable[str]) -> str:
    return ",".join(sorted(operators))


@dataclass(frozen=True, slots=True)
class EnvelopeTarget:
    """The identifiers of the device that an envelope is for."""

    vendor: bytes
    klass: bytes
    device: bytes


def target(fleet: str, device: str, contract: EngineContract | PackageContract) -> EnvelopeTarget:
    """Return all identifiers that the envelopes of a device contain."""
    vendor = vendor_id(fleet)
    return EnvelopeTarget(vendor, class_id(vendor, contract), device_id(vendor, device))
