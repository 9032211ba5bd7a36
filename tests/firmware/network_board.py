# SPDX-License-Identifier: Apache-2.0
"""The network of an emulated board that speaks MQTT over TLS itself: its settings in flash, and the emulator's options."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

SETTINGS_AT = 1 << 20  # behind the part of flash that belongs to tinyfleet
MAC = bytes.fromhex("525400123456")
#: Addresses of the emulator's own network, where the router is this machine's loopback interface.
OWN, NETMASK, ROUTER = (IPv4Address(text) for text in ("10.0.2.15", "255.255.255.0", "10.0.2.2"))
NETWORK = ("-nic", "user,model=lan9118")


@dataclass(frozen=True)
class Credentials:
    """What a device trusts and shows: the certificate of its authority, its own, and its key, all in DER."""

    authority: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def read(cls, authority: Path, certificate: Path) -> Credentials:
        """Read the files in PEM that `tinyfleet pki` writes; the key is next to the certificate."""
        key = load_pem_private_key(certificate.with_suffix(".key").read_bytes(), None)
        return cls(
            _der(authority),
            _der(certificate),
            key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        )


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def settings(credentials: Credentials, host: str, port: int, *, broker: IPv4Address = ROUTER) -> bytes:
    """Encode struct settings of firmware/network/settings.h."""
    parts = (host.encode() + b"\0", credentials.authority, credentials.certificate, credentials.key)
    addresses = b"".join(address.packed for address in (OWN, NETMASK, ROUTER, broker))
    return struct.pack("<4s6s2x16sH4H", b"TFNW", MAC, addresses, port, *map(len, parts)) + b"".join(parts)
