# SPDX-License-Identifier: Apache-2.0
"""The content of certificates, and the names that are rejected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from signing import pki, pki_keys
from signing.key_files import KeyStoreError
from signing.pki import Role, Subject, ValidityPeriod
from signing.pki_keys import KeyKind

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TERM = ValidityPeriod(NOW, 100)


@pytest.fixture(params=KeyKind)
def authority(request: pytest.FixtureRequest) -> pki.CertificateAuthority:
    return pki.make_authority("plant", pki_keys.generate(request.param), TERM)


def _certify(authority: pki.CertificateAuthority, subject: Subject, term: ValidityPeriod = TERM) -> x509.Certificate:
    return pki.certify(authority, pki_keys.generate(KeyKind.P256).public_key(), subject, term)


@pytest.mark.parametrize(
    "subject",
    [
        Subject(Role.BROKER, "broker.plant.example", ("10.0.0.1", "fd00::1", "localhost")),
        Subject(Role.BROKER, "10.0.0.1"),
        Subject(Role.GATEWAY, "hall-north"),
        Subject(Role.GATEWAY, "g" * 63),  # the longest name that the schema allows, after the prefix
        Subject(Role.DEVICE, "d" * 63),
        Subject(Role.CLIENT, "c" * 63),
    ],
    ids=str,
)
def test_a_certificate_names_its_subject(authority: pki.CertificateAuthority, subject: Subject) -> None:
    made = _certify(authority, subject)
    assert pki.subject_of(made) == subject
    assert pki.fleet_of(made) == "plant"
    made.verify_directly_issued_by(authority.certificate)
    assert made.not_valid_before_utc == NOW - timedelta(hours=1)
    assert made.not_valid_after_utc == NOW + timedelta(days=100)


def test_key_usage_of_certificates(authority: pki.CertificateAuthority) -> None:
    broker, device = (
        _certify(authority, Subject(Role.BROKER, "b", ("10.0.0.1",))),
        _certify(authority, Subject(Role.DEVICE, "d")),
    )
    for made, purpose in ((broker, ExtendedKeyUsageOID.SERVER_AUTH), (device, ExtendedKeyUsageOID.CLIENT_AUTH)):
        assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
        constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert not constraints.value.ca
        usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
        assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, False, False)
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["b"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.0.0.1")]


def test_an_authority_can_not_certify_another_authority(authority: pki.CertificateAuthority) -> None:
    made = authority.certificate
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (False, True, True)


def test_no_certificate_outlasts_the_authority(authority: pki.CertificateAuthority) -> None:
    made = _certify(authority, Subject(Role.DEVICE, "d"), ValidityPeriod(NOW + timedelta(days=90), 100))
    assert made.not_valid_after_utc == authority.certificate.not_valid_after_utc
    with pytest.raises(KeyStoreError, match="has expired"):
        _certify(authority, Subject(Role.DEVICE, "d"), ValidityPeriod(NOW + timedelta(days=100), 100))


@pytest.mark.parametrize(
    "name", ["", "+", "#", "a/b", "@gw", "Pump", "a\nuser @gw-1", "-a", "a-", "d" * 64, "a b", "ä"]
)
def test_names_that_reach_into_topics_or_files_are_refused(name: str) -> None:
    for role in (Role.DEVICE, Role.GATEWAY):
        with pytest.raises(KeyStoreError, match="is not a valid"):
            Subject(role, name)
    with pytest.raises(KeyStoreError, match="not a valid fleet name"):
        pki.make_authority(name, pki_keys.generate(KeyKind.P256), TERM)


@pytest.mark.parametrize("host", ["", "a b", "a/b", "../a", "*.example", "a\n"])
def test_invalid_hosts_are_rejected(host: str) -> None:
    with pytest.raises(KeyStoreError, match="not a valid broker name"):
        Subject(Role.BROKER, host)
    with pytest.raises(KeyStoreError, match="not a valid broker name"):
        Subject(Role.BROKER, "good", (host,))


def test_only_a_broker_has_hosts() -> None:
    with pytest.raises(KeyStoreError, match="only a broker"):
        Subject(Role.DEVICE, "d", ("localhost",))


def test_a_revocation_list(authority: pki.CertificateAuthority) -> None:
    entry = x509.RevokedCertificateBuilder().serial_number(7).revocation_date(NOW).build()
    made = pki.make_crl(authority, [entry], 3, ValidityPeriod(NOW, 10))
    assert [each.serial_number for each in made] == [7]
    assert made.next_update_utc == NOW + timedelta(days=10)
    assert made.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 3
    assert made.is_signature_valid(authority.key.public_key())
