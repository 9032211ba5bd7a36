# SPDX-License-Identifier: Apache-2.0
"""What a device needs for TLS, from the files that `pki_store` writes for it: checked, and in DER for its flash."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from signing import pki_store
from signing.key_files import KeyStoreError
from signing.pki import Role, Subject, subject_of


@dataclass(frozen=True, slots=True)
class DeviceCredentials:
    """The certificate of a device's authority, its own, and its key, all in DER."""

    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)


def read_device_credentials(folder: Path, name: str) -> DeviceCredentials:
    """Read ca.crt, NAME.crt and NAME.key of a folder; a device could not connect with files that do not fit."""
    authority = pki_store.read_certificate(folder / pki_store.CERTIFICATE)
    path = folder / f"{name}.crt"
    certificate = pki_store.read_certificate(path)
    if subject_of(certificate) != Subject(Role.DEVICE, name):
        raise KeyStoreError(f"{path} is the certificate of {subject_of(certificate)}, not of device {name}")
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise KeyStoreError(f"{path} was not issued by {folder / pki_store.CERTIFICATE}") from error
    return DeviceCredentials(_der(authority), _der(certificate), _key(path.with_suffix(".key"), certificate))


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _key(path: Path, certificate: x509.Certificate) -> bytes:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise KeyStoreError(f"can't read {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise KeyStoreError(f"{path} is not a private key without a passphrase") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyStoreError(f"{path} is not a P-256 key, which is all that the firmware has: issue it with --key p256")
    if key.public_key() != certificate.public_key():
        raise KeyStoreError(f"{path} is not the key of {path.with_suffix('.crt')}")
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
