# SPDX-License-Identifier: Apache-2.0
"""Ed25519 keys in files, behind the `SigningKey` protocol so that a TPM or a token can replace them."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from signing import private_key_pem
from signing.cose import PUBLIC_KEY_BYTES
from signing.identifiers import key_id
from signing.key_files import KeyStoreError, read_public
from signing.private_key_pem import Passphrase


class FileKey:
    """A private key that was read from a file. Its repr shows the key id and never the key."""

    __slots__ = ("_private", "_public_key")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public_key = private.public_key().public_bytes_raw()

    @property
    def public_key(self) -> bytes:
        """The public key, 32 bytes."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"<private key {key_id(self._public_key).hex()}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key can't be pickled")


def generate() -> FileKey:
    """Generate a key. It is not saved yet."""
    return FileKey(Ed25519PrivateKey.generate())


def save(key: FileKey, path: Path, passphrase: bytes | None) -> None:
    """Save a key to a new file of mode 0600, encrypted if a passphrase is given."""
    private_key_pem.save(key._private, path, passphrase)  # noqa: SLF001 - the only place where a key leaves its object


def load(path: Path, passphrase: Passphrase) -> FileKey:
    """Load a key. The passphrase is requested only if the file is encrypted."""
    private = private_key_pem.load(path, passphrase)
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyStoreError(f"{path} is not an Ed25519 key")
    return FileKey(private)


def public_pem(public_key: bytes) -> bytes:
    """Return a public key as PEM."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_header(public_key: bytes) -> bytes:
    """Return the root's public key as a C header, for firmware that compiles it in."""
    octets = [f"0x{octet:02x}" for octet in public_key]
    rows = [", ".join(octets[at : at + 8]) for at in range(0, PUBLIC_KEY_BYTES, 8)]
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        f"/* Ed25519 public key of the fleet's root, key id {key_id(public_key).hex()}. */",
        "#ifndef TINYFLEET_ROOT_KEY_H",
        "#define TINYFLEET_ROOT_KEY_H",
        "#define TINYFLEET_ROOT_KEY { \\",
        *(f"    {row}, \\" for row in rows[:-1]),
        f"    {rows[-1]} }}",
        "#endif",
        "",
    ]
    return "\n".join(lines).encode()


def read_public_key(path: Path) -> bytes:
    """Read a public key from a file with PEM or 64 hexadecimal digits."""
    return parse_public_key(read_public(path), str(path))


def parse_public_key(data: bytes, name: str) -> bytes:
    """Read a public key from PEM or 64 hexadecimal digits; the name is that of its file, for errors."""
    try:
        if data.startswith(b"-----BEGIN PUBLIC KEY-----"):
            key = load_pem_public_key(data)
            if isinstance(key, Ed25519PublicKey):
                return key.public_bytes_raw()
        else:
            raw = bytes.fromhex(data.decode("ascii").strip())
            if len(raw) == PUBLIC_KEY_BYTES:
                return raw
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyStoreError(f"{name} is not a public key") from error
    raise KeyStoreError(f"{name} is not an Ed25519 public key")
