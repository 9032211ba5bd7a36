# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 and COSE_Mac0 (RFC 9052), in the one form that tinyfleet has of each."""

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
    """Holds a private key: a file, a TPM, a token. Nobody else ever sees it."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the Ed25519 signature over the message."""
        ...


@dataclass(frozen=True, slots=True)
class CoseMessage:
    """A COSE object taken apart; nothing in it is trusted yet."""

    key_id: bytes
    protected: bytes
    payload: bytes  # empty when detached
    seal: bytes  # signature or tag


def protected_header(algorithm: int, kid: bytes) -> bytes:
    """Encode algorithm and key id."""
    return encode({1: algorithm, 4: kid})


def to_be_sealed(context: str, protected: bytes, payload: bytes, external: bytes = b"") -> bytes:
    """Build the Sig_structure or MAC_structure, what the seal covers."""
    return encode([context, protected, external, payload])


def sign1(signer: SigningKey, payload: bytes, *, detached: bool = False, external: bytes = b"") -> bytes:
    """Sign a payload; a detached one is covered but not carried."""
    protected = protected_header(ED25519, key_id(signer.public_key))
    signature = signer.sign(to_be_sealed("Signature1", protected, payload, external))
    return _assemble(SIGN1_TAG, protected, None if detached else payload, signature)


def mac0(key: bytes, kid: bytes, payload: bytes, external: bytes) -> bytes:
    """Authenticate a payload with a shared key."""
    protected = protected_header(HMAC_256_64, kid)
    return _assemble(MAC0_TAG, protected, payload, _tag(key, to_be_sealed("MAC0", protected, payload, external)))


def read(reader: CborReader, tag: int, *, detached: bool = False) -> CoseMessage:
    """Take a COSE object apart, strictly, up to its end."""
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
    seal = reader.byte_string(size)
    reader.end()
    return CoseMessage(kid, protected, payload, seal)


def read_algorithm(reader: CborReader, expected: int) -> None:
    """Expect this algorithm; another one is told apart from mere noise."""
    found = reader.integer()
    require(found == expected, VerificationCode.ALGORITHM, f"algorithm {found}, expected {expected}")


def signed_by(public_key: bytes, sealed: CoseMessage, payload: bytes, external: bytes = b"") -> bool:
    """Tell whether the signature is this key's, over this payload."""
    message = to_be_sealed("Signature1", sealed.protected, payload, external)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(sealed.seal, message)
    except InvalidSignature:
        return False
    return True


def authenticated_by(key: bytes, sealed: CoseMessage, payload: bytes, external: bytes) -> bool:
    """Tell whether the tag is this shared key's, over this payload."""
    expected = _tag(key, to_be_sealed("MAC0", sealed.protected, payload, external))
    return hmac.compare_digest(expected, sealed.seal)


def digest_of(data: bytes) -> bytes:
    """Encode a SUIT_Digest of these bytes."""
    return suit_digest(hashlib.sha256(data).digest())


def suit_digest(sha256: bytes) -> bytes:
    """Encode a SUIT_Digest."""
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


def _assemble(tag: int, protected: bytes, payload: bytes | None, seal: bytes) -> bytes:
    return bytes([0xC0 | tag]) + encode([protected, {}, payload, seal])


def _tag(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")[:MAC_BYTES]
