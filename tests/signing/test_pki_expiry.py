# SPDX-License-Identifier: Apache-2.0
"""The validity of certificates and of the revocation list, and which gateways the broker admits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from signing import pki_expiry
from signing.pki import Role, Subject, ValidityPeriod, subject_of
from signing.pki_expiry import CertificateValidity
from signing.pki_keys import KeyKind
from tests.signing.test_pki_store import NOW, PUMP, make

WARN = timedelta(days=30)


@pytest.mark.parametrize(
    ("days", "validity"),
    [
        (-1, CertificateValidity.EXPIRED),
        (0, CertificateValidity.EXPIRED),
        (29, CertificateValidity.EXPIRES_SOON),
        (30, CertificateValidity.VALID),
        (99, CertificateValidity.VALID),
    ],
)
def test_validity_of_a_date(days: int, validity: CertificateValidity) -> None:
    assert pki_expiry.validity_of_date(NOW + timedelta(days=days), NOW, WARN) is validity
    assert validity.needs_attention == (days < 30)


def test_validity_of_issued_certificates(tmp_path: Path) -> None:
    issuer = make(tmp_path / "ca")
    issuer.issue(tmp_path / "a", PUMP, KeyKind.P256, ValidityPeriod(NOW, 20))
    issuer.renew(tmp_path / "a" / "pump-1.crt", ValidityPeriod(NOW, 400))
    issuer.issue(tmp_path / "a", Subject(Role.DEVICE, "pump-2"), KeyKind.P256, ValidityPeriod(NOW, 20))
    issuer.issue(tmp_path / "a", Subject(Role.DEVICE, "pump-3"), KeyKind.P256, ValidityPeriod(NOW, 400))
    issuer.revoke(Subject(Role.DEVICE, "pump-3"), ValidityPeriod(NOW, 365))

    def validities(day: int) -> set[tuple[str, CertificateValidity]]:
        found = pki_expiry.issued_certificates(issuer.store, NOW + timedelta(days=day), WARN)
        return {(each.subject.name, each.validity) for each in found}

    always = {("pump-1", CertificateValidity.REPLACED), ("pump-3", CertificateValidity.REVOKED)}
    assert validities(0) == always | {
        ("pump-1", CertificateValidity.VALID),
        ("pump-2", CertificateValidity.EXPIRES_SOON),
    }
    assert validities(21) == always | {("pump-1", CertificateValidity.VALID), ("pump-2", CertificateValidity.EXPIRED)}
    assert validities(401) == always | {
        ("pump-1", CertificateValidity.EXPIRED),
        ("pump-2", CertificateValidity.EXPIRED),
    }


def test_validity_of_the_revocation_list(tmp_path: Path) -> None:
    store = make(tmp_path / "ca").store
    for day, validity in (
        (0, CertificateValidity.VALID),
        (340, CertificateValidity.EXPIRES_SOON),
        (365, CertificateValidity.EXPIRED),
    ):
        ends = NOW + timedelta(days=365)
        assert pki_expiry.crl_validity(store, NOW + timedelta(days=day), WARN) == (ends, validity)


def test_only_gateways_with_a_valid_certificate_are_admitted(tmp_path: Path) -> None:
    issuer = make(tmp_path / "ca")
    for name, days in (("north", 20), ("south", 400), ("stolen", 400)):
        issuer.issue(tmp_path / "a", Subject(Role.GATEWAY, name), KeyKind.P256, ValidityPeriod(NOW, days))
    issuer.issue(tmp_path / "a", PUMP, KeyKind.P256, ValidityPeriod(NOW, 400))
    issuer.revoke(Subject(Role.GATEWAY, "stolen"), ValidityPeriod(NOW, 365))
    assert pki_expiry.admitted(issuer.store, Role.GATEWAY, NOW) == ("north", "south")
    assert pki_expiry.admitted(issuer.store, Role.GATEWAY, NOW + timedelta(days=20)) == ("south",)


def test_due_are_the_newest_certificates_that_end_soon(tmp_path: Path) -> None:
    issuer = make(tmp_path / "ca")
    out = tmp_path / "a"
    terms = {"valid": 400, "soon": 20, "expired": 1, "revoked": 20, "renewed": 20}
    for name, days in terms.items():
        issuer.issue(out, Subject(Role.DEVICE, name), KeyKind.P256, ValidityPeriod(NOW, days))
    issuer.issue(out, Subject(Role.GATEWAY, "hall"), KeyKind.P256, ValidityPeriod(NOW, 20))
    issuer.revoke(Subject(Role.DEVICE, "revoked"), ValidityPeriod(NOW, 365))
    issuer.renew(out / "renewed.crt", ValidityPeriod(NOW, 400))

    def due(day: int) -> set[str]:
        found = pki_expiry.due_certificates(issuer.store, NOW + timedelta(days=day), WARN)
        return {subject_of(each).name for each in found}

    assert due(5) == {"soon", "expired", "hall"}
    for each in pki_expiry.due_certificates(issuer.store, NOW + timedelta(days=5), WARN):
        issuer.renew_certificate(each, out / f"{subject_of(each).name}.crt", ValidityPeriod(NOW, 400))
    assert due(5) == set()


def test_a_certificate_that_ends_with_its_authority_is_never_due(tmp_path: Path) -> None:
    """Otherwise a timer would issue a new one every day, all of them with the same end."""
    issuer = make(tmp_path / "ca")
    ends = issuer.store.certificate.not_valid_after_utc
    issuer.issue(tmp_path / "a", PUMP, KeyKind.P256, ValidityPeriod(NOW, 36500))
    assert pki_expiry.due_certificates(issuer.store, ends - timedelta(days=1), WARN) == ()
