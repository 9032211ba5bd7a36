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
    protocol: int = 1


def class_id(vendor: bytes, engine: EngineContract) -> bytes:
    """Return the id of an engine contract, which keeps packs away from engines that do not support them."""
    contract = f"engine/pack={engine.pack_format}/protocol={engine.protocol}/operators={_sorted(engine.operators)}"
    return uuid5(UUID(bytes=vendor), contract).bytes


def _sorted(operators: Iterable[str]) -> str:
    return ",".join(sorted(operators))


@dataclass(frozen=True, slots=True)
class EnvelopeTarget:
    """The identifiers of the device that an envelope is for."""

    vendor: bytes
    klass: bytes
    device: bytes


def target(fleet: str, device: str, engine: EngineContract) -> EnvelopeTarget:
    """Return all identifiers that the envelopes of a device contain."""
    vendor = vendor_id(fleet)
    return EnvelopeTarget(vendor, class_id(vendor, engine), device_id(vendor, device))
