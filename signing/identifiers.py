# SPDX-License-Identifier: Apache-2.0
"""Identifiers: what names become in signed bytes (docs/specs/envelope.md section 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

NAMESPACE = UUID("b49a0ba1-a3c8-4a3f-8f6d-517437b4066a")
KEY_ID_BYTES = 8
UUID_BYTES = 16


def key_id(public_key: bytes) -> bytes:
    """Name a public key."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


def vendor_id(fleet: str) -> bytes:
    """Name a fleet."""
    return uuid5(NAMESPACE, fleet).bytes


def device_id(vendor: bytes, device: str) -> bytes:
    """Name a device of a fleet."""
    if "/" in device:
        raise ValueError(f"a device's name has no '/': {device!r}")  # else it could pass for a class
    return uuid5(UUID(bytes=vendor), device).bytes


@dataclass(frozen=True, slots=True)
class EngineContract:
    """What a device's engine understands; it says nothing of the processor."""

    pack_format: int
    operators: frozenset[str]
    protocol: int = 1


def class_id(vendor: bytes, engine: EngineContract) -> bytes:
    """Name an engine's contract, so that a pack can't reach an engine that doesn't know it."""
    contract = f"engine/pack={engine.pack_format}/protocol={engine.protocol}/operators={_sorted(engine.operators)}"
    return uuid5(UUID(bytes=vendor), contract).bytes


def _sorted(operators: Iterable[str]) -> str:
    return ",".join(sorted(operators))


@dataclass(frozen=True, slots=True)
class EnvelopeTarget:
    """The one device that an envelope is for."""

    vendor: bytes
    klass: bytes
    device: bytes


def target(fleet: str, device: str, engine: EngineContract) -> EnvelopeTarget:
    """Name a device with all that its envelopes must say of it."""
    vendor = vendor_id(fleet)
    return EnvelopeTarget(vendor, class_id(vendor, engine), device_id(vendor, device))
