# SPDX-License-Identifier: Apache-2.0
"""Keys of certificates: EC P-256, which every TLS stack takes, or Ed25519, which is smaller where it is known."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from signing.keyfiles import KeyStoreError, read_private, write_private
from signing.keys import ENCRYPTED_MARK, LEAST_PASSPHRASE_BYTES, Passphrase
from signing.pkcs8 import encrypted_pem

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey


class KeyKind(StrEnum):
    """The kinds of keys that certificates are made for."""

    P256 = "p256"
    ED25519 = "ed25519"


def generate(kind: KeyKind) -> PrivateKey:
    """Make a new key, not yet in any file."""
    return Ed25519PrivateKey.generate() if kind is KeyKind.ED25519 else generate_private_key(SECP256R1())


def digest_for(key: PrivateKey) -> SHA256 | None:
    """Name what is hashed with before this key signs; Ed25519 hashes by itself."""
    return None if isinstance(key, Ed25519PrivateKey) else SHA256()


def save(key: PrivateKey, path: Path, passphrase: bytes | None) -> None:
    """Keep a key in a new file of mode 0600, encrypted when there is a passphrase."""
    if passphrase is None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    elif len(passphrase) < LEAST_PASSPHRASE_BYTES:
        raise KeyStoreError(f"a passphrase has at least {LEAST_PASSPHRASE_BYTES} characters")
    else:
        pem = encrypted_pem(key, passphrase)
    write_private(path, pem)


def load(path: Path, passphrase: Passphrase) -> PrivateKey:
    """Read a key; the passphrase is asked for only when it is encrypted."""
    pem = read_private(path)
    try:
        key = load_pem_private_key(pem, passphrase() if ENCRYPTED_MARK in pem else None)
    except (ValueError, UnsupportedAlgorithm):
        # not chained: the library's text is about bytes that we keep out of logs
        raise KeyStoreError(f"{path} is no private key, or the passphrase is wrong") from None
    if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key
    raise KeyStoreError(f"{path} is neither an EC nor an Ed25519 key")
