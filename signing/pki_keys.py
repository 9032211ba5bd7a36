# SPDX-License-Identifier: Apache-2.0
"""Private keys for certificates: EC P-256, which every TLS stack supports, or the smaller Ed25519."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from signing import private_key_pem
from signing.key_files import KeyStoreError
from signing.private_key_pem import Passphrase

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey


class KeyKind(StrEnum):
    """The supported kinds of keys."""

    P256 = "p256"
    ED25519 = "ed25519"


def generate(kind: KeyKind) -> PrivateKey:
    """Generate a key. It is not saved yet."""
    return Ed25519PrivateKey.generate() if kind is KeyKind.ED25519 else generate_private_key(SECP256R1())


def digest_for(key: PrivateKey) -> SHA256 | None:
    """Return the hash to use with this key; Ed25519 includes its own."""
    return None if isinstance(key, Ed25519PrivateKey) else SHA256()


def load(path: Path, passphrase: Passphrase) -> PrivateKey:
    """Load a key. The passphrase is requested only if the file is encrypted."""
    key = private_key_pem.load(path, passphrase)
    if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key
    raise KeyStoreError(f"{path} is neither an EC nor an Ed25519 key")
