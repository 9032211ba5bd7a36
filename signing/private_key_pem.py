# SPDX-License-Identifier: Apache-2.0
"""The one way in which private keys of all kinds get into files and out of them."""

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

LEAST_PASSPHRASE_BYTES = 12
ENCRYPTED_MARK = b"ENCRYPTED PRIVATE KEY"

Passphrase = Callable[[], bytes]
"""Asked only when a key needs it, so that nobody is prompted in vain."""


def save(key: Ed25519PrivateKey | EllipticCurvePrivateKey, path: Path, passphrase: bytes | None) -> None:
    """Keep a key in a new file of mode 0600, encrypted when there is a passphrase."""
    if passphrase is None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    elif len(passphrase) < LEAST_PASSPHRASE_BYTES:
        raise KeyStoreError(f"a passphrase has at least {LEAST_PASSPHRASE_BYTES} characters")
    else:
        pem = encrypted_pem(key, passphrase)
    write_private(path, pem)


def load(path: Path, passphrase: Passphrase) -> PrivateKeyTypes:
    """Read a key of any kind; the passphrase is asked for only when it is encrypted."""
    pem = read_private(path)
    try:
        return load_pem_private_key(pem, passphrase() if ENCRYPTED_MARK in pem else None)
    except (ValueError, UnsupportedAlgorithm):
        # not chained: the library's text is about bytes that we keep out of logs
        raise KeyStoreError(f"{path} is no private key, or the passphrase is wrong") from None
