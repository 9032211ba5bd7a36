# SPDX-License-Identifier: Apache-2.0
"""How an authority and its certificates stand at a moment: what counts, what soon will not, and why."""

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
    """What a certificate is worth."""

    GOOD = "good"
    ENDS_SOON = "ends soon"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"  # a later one of the same name counts for longer

    @property
    def wants_attention(self) -> bool:
        """Whether somebody should do something about it."""
        return self in {CertificateValidity.ENDS_SOON, CertificateValidity.EXPIRED}


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """One certificate and how it stands."""

    subject: Subject
    serial: int
    ends: datetime
    standing: CertificateValidity


def validity_of_date(ends: datetime, now: datetime, warn: timedelta) -> CertificateValidity:
    """Judge a date alone."""
    if ends <= now:
        return CertificateValidity.EXPIRED
    return CertificateValidity.ENDS_SOON if ends - now < warn else CertificateValidity.GOOD


def crl_validity(store: CertificateStore, now: datetime, warn: timedelta) -> tuple[datetime, CertificateValidity]:
    """Judge the list of what is revoked: when it has expired, the broker lets nobody in."""
    ends = store.revoked().next_update_utc
    return (now, CertificateValidity.EXPIRED) if ends is None else (ends, validity_of_date(ends, now, warn))


def issued_certificates(store: CertificateStore, now: datetime, warn: timedelta) -> Iterator[IssuedCertificate]:
    """Judge every certificate, the oldest first."""
    listed = store.revoked()
    issued = [(pki.subject_of(each), each) for each in store.issued()]
    last: dict[tuple[Role, str], datetime] = {}
    for subject, each in issued:
        if not _is_revoked(listed, each):
            key, ends = (subject.role, subject.name), each.not_valid_after_utc
            last[key] = max(last.get(key, ends), ends)
    for subject, each in issued:
        ends = each.not_valid_after_utc
        if _is_revoked(listed, each):
            standing = CertificateValidity.REVOKED
        elif ends < last[subject.role, subject.name]:
            standing = CertificateValidity.REPLACED
        else:
            standing = validity_of_date(ends, now, warn)
        yield IssuedCertificate(subject, each.serial_number, ends, standing)


def admitted_gateways(store: CertificateStore, now: datetime) -> tuple[str, ...]:
    """Name the gateways that the broker shall let in."""
    counting = {
        each.subject.name
        for each in issued_certificates(store, now, timedelta())
        if each.subject.role is Role.GATEWAY and each.standing is CertificateValidity.GOOD
    }
    return tuple(sorted(counting))


def _is_revoked(listed: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    return listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
