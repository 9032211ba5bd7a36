# SPDX-License-Identifier: Apache-2.0
"""The network of a device that speaks MQTT over TLS itself, as bytes of flash (firmware/network/settings.h)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Final

MAC_BYTES: Final = 6
_MAGIC: Final = b"TFNW"
_HEAD: Final = struct.Struct("<4s6s2x16sH4H")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Addresses of a device and of its broker, and what the device trusts and shows, in DER."""

    mac: bytes
    address: IPv4Interface
    router: IPv4Address
    broker: IPv4Address
    host: str  # the name that the broker's certificate must have
    port: int
    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)


def encode(settings: TlsSettings) -> bytes:
    """Return what a device reads from its flash."""
    parts = (settings.host.encode("ascii") + b"\0", settings.authority, settings.certificate, settings.key)
    addresses = (settings.address.ip, settings.address.netmask, settings.router, settings.broker)
    packed = b"".join(address.packed for address in addresses)
    return _HEAD.pack(_MAGIC, settings.mac, packed, settings.port, *map(len, parts)) + b"".join(parts)
