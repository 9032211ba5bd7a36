# SPDX-License-Identifier: Apache-2.0
"""Sessions between a gateway and a device, for stages or for calls (docs/specs/stages.md sections 2 and 3).

The gateway's key for the session is ephemeral, and signed by its delegated key. The device's is its Ed25519 key, in the
form that X25519 uses.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.poly1305 import Poly1305

from signing.cose import PUBLIC_KEY_BYTES, SigningKey
from signing.identifiers import UUID_BYTES

CONTEXT = b"tinyfleet/session/1"
DIGEST16_BYTES = 16
CALLS = bytes(DIGEST16_BYTES)  # in place of a pack: a session for calls (docs/specs/operations.md section 7)
TAG_BYTES = 16
_PRIME = 2**255 - 19


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What a session is for: one device in one boot, with one pack."""

    device: bytes
    boots: int
    session: int
    digest16: bytes

    def encode(self, peer: bytes) -> bytes:
        """Return the bytes that are signed and that the key covers; `peer` is the gateway's ephemeral public key."""
        if (len(self.device), len(self.digest16), len(peer)) != (UUID_BYTES, DIGEST16_BYTES, PUBLIC_KEY_BYTES):
            raise ValueError("a device id must have 16 bytes, a short digest 16, a public key 32")
        return CONTEXT + self.device + struct.pack("<II", self.boots, self.session) + self.digest16 + peer


@dataclass(frozen=True, slots=True)
class SessionOpening:
    """What the gateway sends to open a session."""

    terms: SessionTerms
    peer: bytes
    signature: bytes


class SessionKey:
    """The key of one session. Its repr does not show it."""

    __slots__ = ("_key",)

    def __init__(self, shared: bytes, terms: bytes) -> None:
        self._key = hashlib.sha256(shared + terms).digest()

    def tag(self, kind: int, seq: int, offset: int, data: bytes) -> bytes:
        """Return the tag of a piece. The same kind, seq, offset and length must never get other data."""
        return Poly1305.generate_tag(self._once(kind, seq, offset, data), data)

    def is_tag(self, tag: bytes, kind: int, seq: int, offset: int, data: bytes) -> bool:
        """Return whether a piece has this tag."""
        try:
            Poly1305.verify_tag(self._once(kind, seq, offset, data), data, tag)
        except InvalidSignature:
            return False
        return True

    def _once(self, kind: int, seq: int, offset: int, data: bytes) -> bytes:
        return hashlib.sha256(self._key + struct.pack("<BIII", kind, seq, offset, len(data))).digest()

    def __repr__(self) -> str:
        return "<session key>"


def open_session(
    signer: SigningKey, device_key: bytes, terms: SessionTerms, ephemeral: X25519PrivateKey | None = None
) -> tuple[SessionOpening, SessionKey]:
    """Make the opening of a session with a device of this Ed25519 public key, and the key that both sides then have."""
    private = ephemeral or X25519PrivateKey.generate()
    peer = private.public_key().public_bytes_raw()
    covered = terms.encode(peer)
    shared = private.exchange(X25519PublicKey.from_public_bytes(x25519_public_key(device_key)))
    return SessionOpening(terms, peer, signer.sign(covered)), SessionKey(shared, covered)


def x25519_public_key(ed25519: bytes) -> bytes:
    """Return the X25519 form of an Ed25519 public key: u = (1 + y) / (1 - y)."""
    y = int.from_bytes(ed25519, "little") & ((1 << 255) - 1)
    return ((1 + y) * pow(1 - y, -1, _PRIME) % _PRIME).to_bytes(PUBLIC_KEY_BYTES, "little")
