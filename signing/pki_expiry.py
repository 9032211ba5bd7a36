# SPDX-License-Identifier: Apache-2.0
"""Whether an authority's certificates and its revocation list are valid at a given time, and for how much longer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509

from signing import pki
from signing.pki import Role, Subject
from signing.pki_store import CertificateStore


class CertificateValidity(StrEnum):
    """The validity of a certificate."""

    VALID = "valid"
    EXPIRES_SOON = "expires soon"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"  # a newer one for the same name is valid for longer

    @property
    def needs_attention(self) -> bool:
        """Whether an operator should act on it."""
        return self in {CertificateValidity.EXPIRES_SOON, CertificateValidity.EXPIRED}


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """One certificate and its validity."""

    subject: Subject
    serial: int
    ends: datetime
    validity: CertificateValidity


def validity_of_date(ends: datetime, now: datetime, warn: timedelta) -> CertificateValidity:
    """Classify an expiry date."""
    if ends <= now:
        return CertificateValidity.EXPIRED
    return CertificateValidity.EXPIRES_SOON if ends - now < warn else CertificateValidity.VALID


def crl_validity(store: CertificateStore, now: datetime, warn: timedelta) -> tuple[datetime, CertificateValidity]:
    """Classify the certificate revocation list. Once it has expired, the broker rejects everyone."""
    ends = store.crl().next_update_utc
    return (now, CertificateValidity.EXPIRED) if ends is None else (ends, validity_of_date(ends, now, warn))


def issued_certificates(store: CertificateStore, now: datetime, warn: timedelta) -> Iterator[IssuedCertificate]:
    """Classify every issued certificate, oldest first."""
    crl = store.crl()
    issued = [(pki.subject_of(each), each) for each in store.issued()]
    latest: dict[tuple[Role, str], datetime] = {}
    for subject, each in issued:
        if not _is_revoked(crl, each):
            key, ends = (subject.role, subject.name), each.not_valid_after_utc
            latest[key] = max(latest.get(key, ends), ends)
    for subject, each in issued:
        ends = each.not_valid_after_utc
        if _is_revoked(crl, each):
            validity = CertificateValidity.REVOKED
        elif ends < latest[subject.role, subject.name]:
            validity = CertificateValidity.REPLACED
        else:
            validity = validity_of_date(ends, now, warn)
        yield IssuedCertificate(subject, each.serial_number, ends, validity)


def due_certificates(store: CertificateStore, now: datetime, warn: timedelta) -> tuple[x509.Certificate, ...]:
    """Return the certificates to renew, one for each name: those that expire soon or have expired.

    No certificate outlives its authority. One that ends with it is not due, because a new one would end then, too.
    """
    found = {each.serial for each in issued_certificates(store, now, warn) if each.validity.needs_attention}
    ends = store.certificate.not_valid_after_utc
    due = [each for each in store.issued() if each.serial_number in found and each.not_valid_after_utc < ends]
    by_subject = {(subject.role, subject.name): each for each in due for subject in [pki.subject_of(each)]}
    return tuple(by_subject.values())


def admitted(store: CertificateStore, role: Role, now: datetime) -> tuple[str, ...]:
    """Return the names with this role that the broker should admit."""
    names = {
        each.subject.name
        for each in issued_certificates(store, now, timedelta())
        if each.subject.role is role and each.validity is CertificateValidity.VALID
    }
    return tuple(sorted(names))


def _is_revoked(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    return crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
