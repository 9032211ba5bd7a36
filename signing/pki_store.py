# SPDX-License-Identifier: Apache-2.0
"""The directory of a certificate authority: its key, its certificate, everything it issued, and what it revoked.

ca.key        the private key, always encrypted
ca.crt        the authority's certificate, which every party gets
ca.crl        the certificate revocation list, for the broker; the only record of revocations
issued/       every certificate, by serial number, stored before it is given to anyone
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from signing import pki, pki_keys, private_key_pem
from signing.key_files import KeyStoreError, read_public, write_public
from signing.pki import CertificateAuthority, PublicKey, Subject, ValidityPeriod
from signing.pki_keys import KeyKind
from signing.private_key_pem import Passphrase

KEY, CERTIFICATE, CRL, ISSUED = "ca.key", "ca.crt", "ca.crl", "issued"
MAX_CRL_BYTES = 64 * 1024 * 1024


def init(
    directory: Path, fleet: str, kind: KeyKind, passphrase: bytes, periods: tuple[ValidityPeriod, ValidityPeriod]
) -> CertificateStore:
    """Make an authority and an empty revocation list; `periods` are their validity periods, in this order."""
    key = pki_keys.generate(kind)
    authority = pki.make_authority(fleet, key, periods[0])
    private_key_pem.save(key, directory / KEY, passphrase)
    (directory / ISSUED).mkdir(mode=0o700)
    write_public(directory / CRL, pki.make_crl(authority, (), 1, periods[1]).public_bytes(Encoding.PEM))
    write_public(directory / CERTIFICATE, pem(authority.certificate))
    return CertificateStore(directory)


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def read_certificate(path: Path) -> x509.Certificate:
    """Read a certificate from a PEM file."""
    try:
        return x509.load_pem_x509_certificate(read_public(path))
    except ValueError as error:
        raise KeyStoreError(f"{path} is not a certificate") from error


class CertificateStore:
    """The public part of an authority."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate = read_certificate(directory / CERTIFICATE)
        self.fleet = pki.fleet_of(self.certificate)

    def issued(self) -> tuple[x509.Certificate, ...]:
        """Return every issued certificate, oldest first."""
        read = [self.read_issued(path) for path in (self.directory / ISSUED).glob("*.crt")]
        return tuple(sorted(read, key=lambda each: (each.not_valid_before_utc, each.serial_number)))

    def crl(self) -> x509.CertificateRevocationList:
        """Return the current revocation list, after verifying that this authority signed it."""
        path = self.directory / CRL
        try:
            crl = x509.load_pem_x509_crl(read_public(path, MAX_CRL_BYTES))
        except ValueError as error:
            raise KeyStoreError(f"{path} is not a certificate revocation list: restore it from a backup") from error
        if not crl.is_signature_valid(_public(self.certificate)):
            raise KeyStoreError(f"{path} was not signed by this authority")
        return crl

    def read_issued(self, path: Path) -> x509.Certificate:
        """Read a certificate, and verify that this authority issued it."""
        certificate = read_certificate(path)
        self._check_issuer(certificate)
        return certificate

    def _check_issuer(self, certificate: x509.Certificate) -> None:
        """Reject a certificate of another issuer."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise KeyStoreError(
                f"certificate {certificate.serial_number:x} was not issued by this authority"
            ) from error


class Issuer:
    """An authority whose private key is unlocked."""

    def __init__(self, store: CertificateStore, passphrase: Passphrase) -> None:
        self.store = store
        self._authority = CertificateAuthority(store.certificate, pki_keys.load(store.directory / KEY, passphrase))
        if self._authority.key.public_key() != store.certificate.public_key():
            raise KeyStoreError(f"the key in {store.directory} does not match its certificate")

    def certify(self, public_key: PublicKey, subject: Subject, validity: ValidityPeriod) -> x509.Certificate:
        """Make a certificate for a key, and store it under issued/."""
        certificate = pki.certify(self._authority, public_key, subject, validity)
        write_public(self.store.directory / ISSUED / f"{certificate.serial_number:x}.crt", pem(certificate))
        return certificate

    def issue(self, directory: Path, subject: Subject, kind: KeyKind, validity: ValidityPeriod) -> x509.Certificate:
        """Generate a key and its certificate, and write both to a folder with the authority's certificate."""
        _check_free(directory / f"{subject.name}.crt")
        key = pki_keys.generate(kind)
        # First, because it refuses to replace an existing key.
        private_key_pem.save(key, directory / f"{subject.name}.key", None)
        certificate = self.certify(key.public_key(), subject, validity)
        self.write_with_authority(certificate, directory / f"{subject.name}.crt")
        return certificate

    def issue_for_csr(self, request: Path, path: Path, subject: Subject, validity: ValidityPeriod) -> x509.Certificate:
        """Make a certificate for a certificate signing request. Only the public key is taken from the request."""
        _check_free(path)
        certificate = self.certify(_key_of_csr(request), subject, validity)
        self.write_with_authority(certificate, path)
        return certificate

    def renew(self, path: Path, validity: ValidityPeriod) -> x509.Certificate:
        """Replace a certificate with a new one for the same key and the same names."""
        return self.renew_certificate(self.store.read_issued(path), path, validity)

    def renew_certificate(self, old: x509.Certificate, path: Path, validity: ValidityPeriod) -> x509.Certificate:
        """Write a new certificate for the key and the names of an old one to a file."""
        _check_free(path)
        if self.store.crl().get_revoked_certificate_by_serial_number(old.serial_number):
            raise KeyStoreError(f"the certificate for {path} is revoked: issue a new certificate with a new key")
        certificate = self.certify(_public(old), pki.subject_of(old), validity)
        self.write_with_authority(certificate, path)
        return certificate

    def write_with_authority(self, certificate: x509.Certificate, path: Path) -> None:
        """Write a certificate, and next to it the authority's certificate."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_public(path, pem(certificate))
        write_public(path.with_name(CERTIFICATE), pem(self.store.certificate))

    def revoke(self, subject: Subject, validity: ValidityPeriod) -> tuple[int, ...]:
        """Revoke all valid certificates of one subject; return their serial numbers."""
        crl = self.store.crl()
        serials = tuple(
            each.serial_number
            for each in self.store.issued()
            if _is_of(each, subject)
            and each.not_valid_after_utc > validity.now
            and crl.get_revoked_certificate_by_serial_number(each.serial_number) is None
        )
        if not serials:
            raise KeyStoreError(f"{subject} has no valid certificate")
        self._write_crl([*crl, *(_revoked(serial, validity.now) for serial in serials)], validity)
        return serials

    def renew_crl(self, validity: ValidityPeriod) -> None:
        """Make a new revocation list with the same entries and a later expiry."""
        self._write_crl(self.store.crl(), validity)

    def _write_crl(self, entries: Iterable[x509.RevokedCertificate], validity: ValidityPeriod) -> None:
        number = self.store.crl().extensions.get_extension_for_class(x509.CRLNumber)
        crl = pki.make_crl(self._authority, entries, number.value.crl_number + 1, validity)
        write_public(self.store.directory / CRL, crl.public_bytes(Encoding.PEM))


def _check_free(path: Path) -> None:
    if path.name == CERTIFICATE:
        raise KeyStoreError(f"{path} is reserved for the authority's certificate: use another name")


def _is_of(certificate: x509.Certificate, subject: Subject) -> bool:
    found = pki.subject_of(certificate)
    return (found.role, found.name) == (subject.role, subject.name)


def _revoked(serial: int, now: datetime) -> x509.RevokedCertificate:
    return x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()


def _key_of_csr(path: Path) -> PublicKey:
    try:
        request = x509.load_pem_x509_csr(read_public(path))
        proven = request.is_signature_valid
    except ValueError as error:
        raise KeyStoreError(f"{path} is not a certificate signing request") from error
    if not proven:
        raise KeyStoreError(f"{path}: the requester does not hold the private key")
    return _supported(request.public_key(), path)


def _public(certificate: x509.Certificate) -> PublicKey:
    return _supported(certificate.public_key(), "the certificate")


def _supported(key: object, where: object) -> PublicKey:
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise KeyStoreError(f"the key of {where} is neither P-256 nor Ed25519")
