# SPDX-License-Identifier: Apache-2.0
"""The authority's directory: its key, its certificate, all that it issued, and what it revoked.

ca.key        private, always encrypted
ca.crt        the authority's certificate, which everybody gets
ca.crl        what is revoked, which the broker gets; the only record of it, so it is signed and never edited
issued/       every certificate, by serial number, written before it is handed out
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

KEY, CERTIFICATE, REVOKED, ISSUED = "ca.key", "ca.crt", "ca.crl", "issued"
LARGEST_LIST = 64 * 1024 * 1024


def init(directory: Path, fleet: str, kind: KeyKind, passphrase: bytes, terms: tuple[ValidityPeriod, ValidityPeriod]) -> CertificateStore:
    """Make an authority and its first, empty list of what is revoked; `terms` are of the one and of the other."""
    key = pki_keys.generate(kind)
    authority = pki.make_authority(fleet, key, terms[0])
    private_key_pem.save(key, directory / KEY, passphrase)
    (directory / ISSUED).mkdir(mode=0o700)
    write_public(directory / REVOKED, pki.revocations(authority, (), 1, terms[1]).public_bytes(Encoding.PEM))
    write_public(directory / CERTIFICATE, pem(authority.certificate))
    return CertificateStore(directory)


def pem(certificate: x509.Certificate) -> bytes:
    """Write a certificate as files have it."""
    return certificate.public_bytes(Encoding.PEM)


def read_certificate(path: Path) -> x509.Certificate:
    """Read one certificate."""
    try:
        return x509.load_pem_x509_certificate(read_public(path))
    except ValueError as error:
        raise KeyStoreError(f"{path} is no certificate") from error


class CertificateStore:
    """What anybody may know of an authority."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate = read_certificate(directory / CERTIFICATE)
        self.fleet = pki.fleet_of(self.certificate)

    def issued(self) -> tuple[x509.Certificate, ...]:
        """Every certificate, the oldest first."""
        read = [self.read_ours(path) for path in (self.directory / ISSUED).glob("*.crt")]
        return tuple(sorted(read, key=lambda each: (each.not_valid_before_utc, each.serial_number)))

    def revoked(self) -> x509.CertificateRevocationList:
        """Return the list in force, if the authority made it."""
        path = self.directory / REVOKED
        try:
            listed = x509.load_pem_x509_crl(read_public(path, LARGEST_LIST))
        except ValueError as error:
            raise KeyStoreError(f"{path} is no list of revoked certificates: put it back from a copy") from error
        if not listed.is_signature_valid(_public(self.certificate)):
            raise KeyStoreError(f"{path} is not of this authority")
        return listed

    def read_ours(self, path: Path) -> x509.Certificate:
        """Read a certificate that this authority issued."""
        certificate = read_certificate(path)
        self._check_ours(certificate)
        return certificate

    def _check_ours(self, certificate: x509.Certificate) -> None:
        """Refuse a certificate of somebody else."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise KeyStoreError(f"certificate {certificate.serial_number:x} is not of this authority") from error


class Issuer:
    """An authority whose key has been unlocked."""

    def __init__(self, store: CertificateStore, passphrase: Passphrase) -> None:
        self.store = store
        self._authority = CertificateAuthority(store.certificate, pki_keys.load(store.directory / KEY, passphrase))
        if self._authority.key.public_key() != store.certificate.public_key():
            raise KeyStoreError(f"{store.directory} holds another key than its certificate names")

    def certify(self, public_key: PublicKey, subject: Subject, term: ValidityPeriod) -> x509.Certificate:
        """Make a certificate for a key, and remember it."""
        certificate = pki.certify(self._authority, public_key, subject, term)
        write_public(self.store.directory / ISSUED / f"{certificate.serial_number:x}.crt", pem(certificate))
        return certificate

    def issue(self, directory: Path, subject: Subject, kind: KeyKind, term: ValidityPeriod) -> x509.Certificate:
        """Make a key, its certificate, and put both with the authority's certificate into a folder."""
        _check_free(directory / f"{subject.name}.crt")
        key = pki_keys.generate(kind)
        private_key_pem.save(
            key, directory / f"{subject.name}.key", None
        )  # the first: it refuses to replace what is there
        certificate = self.certify(key.public_key(), subject, term)
        self.hand_out(certificate, directory / f"{subject.name}.crt")
        return certificate

    def issue_for_request(self, request: Path, path: Path, subject: Subject, term: ValidityPeriod) -> x509.Certificate:
        """Make a certificate for a key that stays where it was made; of the request, only the key counts."""
        _check_free(path)
        certificate = self.certify(_key_of_request(request), subject, term)
        self.hand_out(certificate, path)
        return certificate

    def renew(self, path: Path, term: ValidityPeriod) -> x509.Certificate:
        """Put a new certificate for the same key and the same names in the place of an old one."""
        old = self.store.read_ours(path)
        if self.store.revoked().get_revoked_certificate_by_serial_number(old.serial_number):
            raise KeyStoreError(f"{path} is revoked: issue a new one, with a new key")
        certificate = self.certify(_public(old), pki.subject_of(old), term)
        self.hand_out(certificate, path)
        return certificate

    def hand_out(self, certificate: x509.Certificate, path: Path) -> None:
        """Write a certificate, and the authority's beside it."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_public(path, pem(certificate))
        write_public(path.with_name(CERTIFICATE), pem(self.store.certificate))

    def revoke(self, subject: Subject, term: ValidityPeriod) -> tuple[int, ...]:
        """Revoke all that was issued to one name and still counts; the result is their serial numbers."""
        listed = self.store.revoked()
        serials = tuple(
            each.serial_number
            for each in self.store.issued()
            if _is_of(each, subject)
            and each.not_valid_after_utc > term.now
            and listed.get_revoked_certificate_by_serial_number(each.serial_number) is None
        )
        if not serials:
            raise KeyStoreError(f"no certificate of {subject} is in force")
        self._write_revoked([*listed, *(_revoked(serial, term.now) for serial in serials)], term)
        return serials

    def prolong_revoked(self, term: ValidityPeriod) -> None:
        """Make the list of what is revoked anew, with the same entries and a later end."""
        self._write_revoked(self.store.revoked(), term)

    def _write_revoked(self, entries: Iterable[x509.RevokedCertificate], term: ValidityPeriod) -> None:
        extension = self.store.revoked().extensions.get_extension_for_class(x509.CRLNumber)
        listed = pki.revocations(self._authority, entries, extension.value.crl_number + 1, term)
        write_public(self.store.directory / REVOKED, listed.public_bytes(Encoding.PEM))


def _check_free(path: Path) -> None:
    if path.name == CERTIFICATE:
        raise KeyStoreError(f"{path} is where the authority's own certificate goes: take another name")


def _is_of(certificate: x509.Certificate, subject: Subject) -> bool:
    found = pki.subject_of(certificate)
    return (found.role, found.name) == (subject.role, subject.name)


def _revoked(serial: int, now: datetime) -> x509.RevokedCertificate:
    return x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()


def _key_of_request(path: Path) -> PublicKey:
    try:
        request = x509.load_pem_x509_csr(read_public(path))
        proven = request.is_signature_valid
    except ValueError as error:
        raise KeyStoreError(f"{path} is no certificate request") from error
    if not proven:
        raise KeyStoreError(f"{path}: whoever asks does not hold the key")
    return _accepted(request.public_key(), path)


def _public(certificate: x509.Certificate) -> PublicKey:
    return _accepted(certificate.public_key(), "the certificate")


def _accepted(key: object, where: object) -> PublicKey:
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return key
    if isinstance(key, Ed25519PublicKey):
        return key
    raise KeyStoreError(f"{where} holds neither a P-256 nor an Ed25519 key")
