# SPDX-License-Identifier: Apache-2.0
"""Saves and loads private keys of every kind as PEM files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from signing.encrypted_pkcs8 import encrypted_pem
from signing.key_files import KeyStoreError, read_private, write_private

MIN_PASSPHRASE_BYTES = 12
ENCRYPTED_MARK = b"ENCRYPTED PRIVATE KEY"

Passphrase = Callable[[], bytes]
"""Called only if a key needs it, so that users are not prompted for nothing."""


def save(key: Ed25519PrivateKey | EllipticCurvePrivateKey, path: Path, passphrase: bytes | None) -> None:
    """Save a key to a new file of mode 0600, encrypted if a passphrase is given."""
    if passphrase is None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    elif len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise KeyStoreError(f"the passphrase needs at least {MIN_PASSPHRASE_BYTES} characters")
    else:
        pem = encrypted_pem(key, passphrase)
    write_private(path, pem)


def load(path: Path, passphrase: Passphrase) -> PrivateKeyTypes:
    """Load a key of any kind. The passphrase is requested only if the file is encrypted."""
    pem = read_private(path)
    try:
        return load_pem_private_key(pem, passphrase() if ENCRYPTED_MARK in pem else None)
    except (ValueError, UnsupportedAlgorithm):
        # not chained: the library's message may quote bytes of the key
        raise KeyStoreError(f"{path} is not a private key, or the passphrase is wrong") from None
