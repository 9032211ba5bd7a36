# SPDX-License-Identifier: Apache-2.0
"""SSH signatures, taken apart and put together again by someone without the key."""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass, replace

BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True)
class SshSignature:
    """The parts of a signature; the key and the value are lists of fields themselves."""

    key: list[bytes]
    value: list[bytes]
    namespace: bytes = b"git"
    reserved: bytes = b""
    hash_name: bytes = b"sha512"
    version: int = 1
    width: int = 70
    tail: bytes = b""  # what a security key adds to the value
    behind: bytes = b""

    @property
    def armored(self) -> bytes:
        return armored(self.blob, self.width) + self.behind

    @property
    def blob(self) -> bytes:
        fields = [joined(self.key), self.namespace, self.reserved, self.hash_name, joined(self.value) + self.tail]
        return b"SSHSIG" + self.version.to_bytes(4, "big") + joined(fields)

    # ------------------------------------------------------------ other forms that ssh-keygen accepts

    def with_other_line_breaks(self) -> SshSignature:
        return replace(self, width=64)

    def with_a_reserved_field(self) -> SshSignature:
        return replace(self, reserved=b"x")

    def with_version_0(self) -> SshSignature:
        return replace(self, version=0)

    def with_text_behind(self) -> SshSignature:
        return replace(self, behind=b"\nanything")

    def with_the_order_added(self) -> SshSignature:
        """Add the order of the group to the number S of an Ed25519 signature: 2^253 is enough for both."""
        algorithm, value = self.value
        number = int.from_bytes(value[32:], "little") + ED25519_ORDER
        return replace(self, value=[algorithm, value[:32] + number.to_bytes(32, "little")])

    def with_a_longer_number(self) -> SshSignature:
        """Write a number of an ECDSA signature with a zero in front."""
        algorithm, value = self.value
        first, second = split(value)
        return replace(self, value=[algorithm, joined([first, b"\0" + second])])

    def with_a_longer_key(self) -> SshSignature:
        """Write a number of an RSA key with a zero in front."""
        kind, exponent, modulus = self.key
        return replace(self, key=[kind, b"\0" + exponent, modulus])

    def with_the_other_number(self) -> SshSignature:
        """Take the other of the two numbers that make an ECDSA signature: both are valid."""
        algorithm, value = self.value
        first, second = split(value)
        other = P256_ORDER - int.from_bytes(second, "big")
        return replace(self, value=[algorithm, joined([first, other.to_bytes(other.bit_length() // 8 + 1, "big")])])


def ssh_signature(armored: bytes) -> SshSignature:
    """Take a signature apart."""
    blob = base64.b64decode(armored.removeprefix(BEGIN).partition(END)[0])
    key, namespace, reserved, hash_name, value = split(blob[10:])
    return SshSignature(split(key), split(value), namespace, reserved, hash_name)


def armored(blob: bytes, width: int = 70) -> bytes:
    lines = textwrap.wrap(base64.b64encode(blob).decode(), width)
    return b"\n".join([BEGIN, *(line.encode() for line in lines), END])


def joined(fields: list[bytes]) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def split(data: bytes) -> list[bytes]:
    fields = []
    while data:
        size = int.from_bytes(data[:4], "big")
        fields.append(data[4 : 4 + size])
        data = data[4 + size :]
    return fields
