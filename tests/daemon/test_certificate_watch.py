# SPDX-License-Identifier: Apache-2.0
"""When the certificates of a gateway expire, read from real files."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.config import GatewayConfig, KeysConfig, MqttConfig, RepositoryConfig
from reconciler.daemon import doctor
from reconciler.daemon.certificate_watch import CertificateWatch
from reconciler.daemon.doctor import CheckSeverity
from signing import pki_store
from signing.delegation import Delegation
from signing.pki import Role, Subject, ValidityPeriod
from signing.pki_keys import KeyKind
from signing.pki_store import Issuer

NOW = datetime.now(UTC).replace(microsecond=0)
SECRET = b"correct horse battery staple"


def term(days: int) -> ValidityPeriod:
    return ValidityPeriod(NOW, days)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return an authority for 100 days, with a revocation list for 50 and a gateway's certificate for 20."""
    store = pki_store.init(tmp_path / "ca", "plant", KeyKind.P256, SECRET, (term(100), term(50)))
    made = Issuer(store, lambda: SECRET)
    made.issue(tmp_path / "out", Subject(Role.GATEWAY, "hall"), KeyKind.P256, term(20))
    return made


@pytest.fixture
def mqtt(issuer: Issuer, tmp_path: Path) -> MqttConfig:
    out = tmp_path / "out"
    return MqttConfig("h", ca=out / "ca.crt", certificate=out / "hall.crt", crl=issuer.store.directory / "ca.crl")


def days_left(watch: CertificateWatch) -> dict[str, int | None]:
    return {each.name: (each.ends - NOW).days if each.ends is not None else None for each in watch.expiries()}


def test_every_expiry_that_the_gateway_knows(mqtt: MqttConfig) -> None:
    delegation = Delegation(b"k" * 32, b"v" * 16, 1, int((NOW + timedelta(days=7)).timestamp()))
    watch = CertificateWatch(mqtt, (), delegation, lambda: NOW + timedelta(days=3))
    assert days_left(watch) == {
        "certificate authority": 100,
        "gateway certificate": 20,
        "revocation list": 50,
        "delegation": 7,
        "broker certificate": 3,
    }
    assert CertificateWatch(None, (), Delegation(b"k" * 32, b"v" * 16, 1)).expiries() == ()


def test_of_several_certificates_in_one_file_the_first_to_expire_counts(mqtt: MqttConfig) -> None:
    assert mqtt.ca is not None
    assert mqtt.certificate is not None
    mqtt.ca.write_bytes(mqtt.ca.read_bytes() + mqtt.certificate.read_bytes())
    assert days_left(CertificateWatch(mqtt))["certificate authority"] == 20


def test_a_replaced_file_is_read_again(mqtt: MqttConfig, issuer: Issuer) -> None:
    watch = CertificateWatch(mqtt)
    assert days_left(watch)["revocation list"] == 50
    issuer.renew_crl(term(90))
    assert days_left(watch)["revocation list"] == 90


def test_a_file_that_did_not_change_is_not_read_again(mqtt: MqttConfig) -> None:
    watch = CertificateWatch(mqtt)
    before = watch.expiries()
    assert mqtt.ca is not None
    status = mqtt.ca.stat()
    with mqtt.ca.open("r+b") as file:  # what no certificate tool does: other content, same size and time
        file.write(b"x")
    os.utime(mqtt.ca, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert all(one is other for one, other in zip(watch.expiries(), before, strict=True))


def test_missing_and_wrong_files_are_named(mqtt: MqttConfig) -> None:
    assert mqtt.ca is not None
    assert mqtt.certificate is not None
    mqtt.ca.write_text("no certificate")
    mqtt.certificate.unlink()
    found = {each.name: each for each in CertificateWatch(mqtt).expiries()}
    assert found["certificate authority"].ends is None
    assert found["certificate authority"].problem.startswith(f"{mqtt.ca} is neither")
    assert found["gateway certificate"].problem == f"can't read {mqtt.certificate}: No such file or directory"


def test_doctor_warns_about_each_of_them(mqtt: MqttConfig, issuer: Issuer, tmp_path: Path) -> None:
    config = GatewayConfig("hall", RepositoryConfig("none"), KeysConfig(tmp_path), tmp_path / "state", mqtt=mqtt)
    found = {each.check: each for each in doctor.certificates(config)}
    assert found["revocation list"].severity is CheckSeverity.OK
    assert found["gateway certificate"].severity is CheckSeverity.WARNING
    assert "tinyfleet pki renew" in found["gateway certificate"].remedy
    issuer.renew_crl(ValidityPeriod(NOW - timedelta(days=2), 1))
    (issuer.store.directory / "ca.crt").unlink()
    found = {each.check: each for each in doctor.certificates(config)}
    assert found["revocation list"].severity is CheckSeverity.ERROR
    assert found["revocation list"].message.startswith("expired on")
