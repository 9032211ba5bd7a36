# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 and COSE_Mac0 (RFC 9052), each in the single form that tinyfleet uses."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signing.cbor import CborReader, encode
from signing.identifiers import KEY_ID_BYTES, key_id
from signing.verification_error import VerificationCode, require

ED25519 = -19  # fully specified (RFC 9864)
SHA_256 = -16
HMAC_256_64 = 4  # HMAC SHA-256 cut to 8 bytes (RFC 9053)
SIGN1_TAG = 18
MAC0_TAG = 17
SIGNATURE_BYTES = 64
MAC_BYTES = 8
PUBLIC_KEY_BYTES = 32


class SigningKey(Protocol):
    """A private key in a file, a TPM or a token. The key itself never leaves it."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of the message, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class CoseMessage:
    """The parts of a COSE object. Nothing in it is trusted yet."""

    key_id: bytes
    protected: bytes
    payload: bytes  # empty when detached
    authenticator: bytes  # the signature of a COSE_Sign1, the MAC of a COSE_Mac0


def protected_header(algorithm: int, kid: bytes) -> bytes:
    """Encode the protected header: algorithm and key id."""
    return encode({1: algorithm, 4: kid})


def to_be_signed(context: str, protected: bytes, payload: bytes, external: bytes = b"") -> bytes:
    """Encode the Sig_structure or MAC_structure, which is what the signature or MAC covers."""
    return encode([context, protected, external, payload])


def sign1(signer: SigningKey, payload: bytes, *, detached: bool = False, external: bytes = b"") -> bytes:
    """Sign a payload. A detached payload is covered by the signature but not included."""
    protected = protected_header(ED25519, key_id(signer.public_key))
    signature = signer.sign(to_be_signed("Signature1", protected, payload, external))
    return _assemble(SIGN1_TAG, protected, None if detached else payload, signature)


def mac0(key: bytes, kid: bytes, payload: bytes, external: bytes) -> bytes:
    """Authenticate a payload with a MAC under a shared key."""
    protected = protected_header(HMAC_256_64, kid)
    return _assemble(MAC0_TAG, protected, payload, _mac(key, to_be_signed("MAC0", protected, payload, external)))


def read(reader: CborReader, tag: int, *, detached: bool = False) -> CoseMessage:
    """Parse a COSE object strictly, up to its end."""
    algorithm, size = (ED25519, SIGNATURE_BYTES) if tag == SIGN1_TAG else (HMAC_256_64, MAC_BYTES)
    reader.tag(tag)
    reader.array(4)
    protected = reader.byte_string()
    kid = _read_protected(CborReader(protected), algorithm)
    reader.map(0)
    payload = b""
    if detached:
        reader.null()
    else:
        payload = reader.byte_string()
    authenticator = reader.byte_string(size)
    reader.end()
    return CoseMessage(kid, protected, payload, authenticator)


def read_algorithm(reader: CborReader, expected: int) -> None:
    """Expect this algorithm. Another valid algorithm gets an error code of its own."""
    found = reader.integer()
    require(found == expected, VerificationCode.ALGORITHM, f"algorithm {found}, expected {expected}")


def is_signed_by(public_key: bytes, message: CoseMessage, payload: bytes, external: bytes = b"") -> bool:
    """Check the signature over this payload with a public key."""
    signed = to_be_signed("Signature1", message.protected, payload, external)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(message.authenticator, signed)
    except InvalidSignature:
        return False
    return True


def is_authenticated_by(key: bytes, message: CoseMessage, payload: bytes, external: bytes) -> bool:
    """Check the MAC over this payload with a shared key."""
    expected = _mac(key, to_be_signed("MAC0", message.protected, payload, external))
    return hmac.compare_digest(expected, message.authenticator)


def digest_of(data: bytes) -> bytes:
    """Hash these bytes and encode the result as a SUIT_Digest."""
    return suit_digest(hashlib.sha256(data).digest())


def suit_digest(sha256: bytes) -> bytes:
    """Encode a SHA-256 value as a SUIT_Digest."""
    return encode([SHA_256, sha256])


def read_digest(reader: CborReader) -> bytes:
    """Read a SUIT_Digest up to its end."""
    reader.array(2)
    read_algorithm(reader, SHA_256)
    value = reader.byte_string(hashlib.sha256().digest_size)
    reader.end()
    return value


def _read_protected(reader: CborReader, algorithm: int) -> bytes:
    reader.map(2)
    reader.constants(1)
    read_algorithm(reader, algorithm)
    reader.constants(4)
    kid = reader.byte_string(KEY_ID_BYTES)
    reader.end()
    return kid


def _assemble(tag: int, protected: bytes, payload: bytes | None, authenticator: bytes) -> bytes:
    return bytes([0xC0 | tag]) + encode([protected, {}, payload, authenticator])


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")[:MAC_BYTES]
