# SPDX-License-Identifier: Apache-2.0
"""The directory of a certificate authority: issuing, renewing, revoking, and rejected files."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from signing import pki_keys, pki_store, private_key_pem
from signing.key_files import KeyStoreError
from signing.pki import Role, Subject, ValidityPeriod, subject_of
from signing.pki_keys import KeyKind
from signing.pki_store import CertificateStore, Issuer

SECRET = b"correct horse battery staple"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PERIODS = (ValidityPeriod(NOW, 7300), ValidityPeriod(NOW, 365))
TERM, LATER = ValidityPeriod(NOW, 100), ValidityPeriod(NOW + timedelta(days=50), 100)
PUMP = Subject(Role.DEVICE, "pump-1")


@functools.cache
def _template(kind: KeyKind) -> dict[str, bytes | None]:
    """Return the files of an authority, and its folders as None.

    Its key is not encrypted: the slow key derivation is tested only once, below.
    """
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        encrypted = pki_store.init(directory / "ca", "plant", kind, SECRET, PERIODS)
        key = pki_keys.load(encrypted.directory / "ca.key", lambda: SECRET)
        private_key_pem.save(key, directory / "plain.key", None)
        (directory / "plain.key").replace(encrypted.directory / "ca.key")
        return {
            path.relative_to(encrypted.directory).as_posix(): path.read_bytes() if path.is_file() else None
            for path in sorted(encrypted.directory.rglob("*"))
        }


def make(directory: Path, kind: KeyKind = KeyKind.P256) -> Issuer:
    directory.mkdir(parents=True)
    for name, data in _template(kind).items():
        path = directory / name
        if data is None:
            path.mkdir()
        else:
            path.write_bytes(data)
            path.chmod(0o600)
    return Issuer(CertificateStore(directory), pytest.fail)


def make_other(directory: Path) -> Issuer:
    """Another authority with the same name."""
    store = pki_store.init(directory, "plant", KeyKind.P256, SECRET, PERIODS)
    return Issuer(store, lambda: SECRET)


@pytest.fixture(params=KeyKind)
def issuer(request: pytest.FixtureRequest, tmp_path: Path) -> Issuer:
    return make(tmp_path / "ca", request.param)


def _serials(store: CertificateStore) -> list[int]:
    return [each.serial_number for each in store.crl()]


def test_an_authority_is_encrypted_and_made_once(tmp_path: Path) -> None:
    made = make_other(tmp_path)
    assert b"ENCRYPTED" in (tmp_path / "ca.key").read_bytes()
    with pytest.raises(KeyStoreError, match="already exists"):
        make_other(tmp_path)
    assert CertificateStore(tmp_path).certificate == made.store.certificate
    with pytest.raises(KeyStoreError, match="passphrase is wrong"):
        Issuer(made.store, lambda: b"wrong-wrong-wrong")


@pytest.mark.parametrize("kind", KeyKind)
def test_a_certificate_is_issued_once_and_recorded(issuer: Issuer, tmp_path: Path, kind: KeyKind) -> None:
    made = issuer.issue(tmp_path / "out", PUMP, kind, TERM)
    assert (tmp_path / "out" / "pump-1.key").stat().st_mode & 0o777 == 0o600
    assert pki_keys.load(tmp_path / "out" / "pump-1.key", bytes).public_key() == made.public_key()
    assert pki_store.read_certificate(tmp_path / "out" / "ca.crt") == issuer.store.certificate
    assert issuer.store.issued() == (made,)
    with pytest.raises(KeyStoreError, match="already exists"):
        issuer.issue(tmp_path / "out", PUMP, kind, TERM)
    assert issuer.store.issued() == (made,)


def test_no_subject_can_overwrite_the_authoritys_certificate(issuer: Issuer, tmp_path: Path) -> None:
    subject = Subject(Role.DEVICE, "ca")
    with pytest.raises(KeyStoreError, match="use another name"):
        issuer.issue(tmp_path / "out", subject, KeyKind.P256, TERM)
    with pytest.raises(KeyStoreError, match="use another name"):
        issuer.issue_for_csr(tmp_path / "none.csr", tmp_path / "ca.crt", subject, TERM)
    assert not (tmp_path / "out").exists()


def test_a_csr_keeps_its_private_key(issuer: Issuer, tmp_path: Path) -> None:
    key, request = tmp_path / "own.key", tmp_path / "own.csr"
    line = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=root"
    subprocess.run([*line.split(), "-keyout", key, "-out", request], check=True, capture_output=True)
    made = issuer.issue_for_csr(request, tmp_path / "new" / "own.crt", PUMP, TERM)
    assert subject_of(made) == PUMP  # despite the name in the request
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["ca.crt", "own.crt"]
    assert pki_store.read_certificate(tmp_path / "new" / "own.crt") == made


def test_an_invalid_csr_is_rejected(issuer: Issuer, tmp_path: Path) -> None:
    path = tmp_path / "a.csr"
    path.write_bytes(b"nothing")
    with pytest.raises(KeyStoreError, match="is not a certificate signing request"):
        issuer.issue_for_csr(path, tmp_path / "a.crt", PUMP, TERM)
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, SHA256())
    der = bytearray(request.public_bytes(Encoding.DER))
    at = der.index(key.public_key().public_numbers().x.to_bytes(32, "big"))
    other = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    der[at : at + 64] = other.x.to_bytes(32, "big") + other.y.to_bytes(32, "big")  # someone else's key
    path.write_bytes(x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM))
    with pytest.raises(KeyStoreError, match="does not hold the private key"):
        issuer.issue_for_csr(path, tmp_path / "a.crt", PUMP, TERM)
    assert issuer.store.issued() == ()


@pytest.mark.parametrize("curve", [ec.SECP384R1(), None])
def test_a_csr_for_another_kind_of_key_is_rejected(
    issuer: Issuer, tmp_path: Path, curve: ec.EllipticCurve | None
) -> None:
    kind = ["rsa:2048"] if curve is None else ["ec", "-pkeyopt", f"ec_paramgen_curve:{curve.name}"]
    line = ["openssl", "req", "-new", "-newkey", *kind, "-nodes", "-subj", "/CN=a", "-keyout", "/dev/null"]
    subprocess.run([*line, "-out", tmp_path / "a.csr"], check=True, capture_output=True)
    with pytest.raises(KeyStoreError, match="neither P-256 nor Ed25519"):
        issuer.issue_for_csr(tmp_path / "a.csr", tmp_path / "a.crt", PUMP, TERM)


def test_a_renewal_keeps_key_and_names(issuer: Issuer, tmp_path: Path) -> None:
    broker = Subject(Role.BROKER, "localhost", ("127.0.0.1",))
    old = issuer.issue(tmp_path, broker, KeyKind.ED25519, TERM)
    new = issuer.renew(tmp_path / "localhost.crt", LATER)
    assert (new.public_key(), subject_of(new)) == (old.public_key(), broker)
    assert new.serial_number != old.serial_number
    assert new.not_valid_after_utc == LATER.end
    assert pki_store.read_certificate(tmp_path / "localhost.crt") == new
    assert issuer.store.issued() == (old, new)


def test_revoked_and_foreign_certificates_are_not_renewed(issuer: Issuer, tmp_path: Path) -> None:
    issuer.issue(tmp_path, PUMP, KeyKind.P256, TERM)
    issuer.revoke(PUMP, TERM)
    with pytest.raises(KeyStoreError, match="is revoked"):
        issuer.renew(tmp_path / "pump-1.crt", LATER)
    make_other(tmp_path / "other").issue(tmp_path / "theirs", PUMP, KeyKind.P256, TERM)
    with pytest.raises(KeyStoreError, match="not issued by this authority"):
        issuer.renew(tmp_path / "theirs" / "pump-1.crt", LATER)


def test_revoking_a_subject_revokes_all_its_certificates_and_no_others(issuer: Issuer, tmp_path: Path) -> None:
    first = issuer.issue(tmp_path / "a", PUMP, KeyKind.P256, TERM)
    ended = issuer.issue(
        tmp_path / "b", PUMP, KeyKind.P256, ValidityPeriod(NOW - timedelta(days=10), 10)
    )  # expires exactly now
    issuer.issue(tmp_path / "c", Subject(Role.GATEWAY, "pump-1"), KeyKind.P256, TERM)
    issuer.issue(tmp_path / "d", Subject(Role.DEVICE, "pump-2"), KeyKind.P256, TERM)
    second = issuer.renew(tmp_path / "a" / "pump-1.crt", LATER)
    expected = {first.serial_number, second.serial_number}
    assert set(issuer.revoke(PUMP, TERM)) == expected
    assert set(_serials(issuer.store)) == expected
    assert ended.serial_number not in expected
    with pytest.raises(KeyStoreError, match="device pump-1 has no valid certificate"):
        issuer.revoke(PUMP, TERM)


def test_the_revocation_list_grows_and_is_renewed(issuer: Issuer, tmp_path: Path) -> None:
    serials: list[int] = []
    for at, name in enumerate(("a", "b")):
        issuer.issue(tmp_path, Subject(Role.DEVICE, name), KeyKind.P256, TERM)
        serials += issuer.revoke(Subject(Role.DEVICE, name), TERM)
        assert issuer.store.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == at + 2
    assert _serials(issuer.store) == serials
    issuer.renew_crl(LATER)
    assert _serials(issuer.store) == serials
    assert issuer.store.crl().next_update_utc == LATER.end


def test_a_long_revocation_list_is_read_completely(issuer: Issuer) -> None:
    entries = [
        x509.RevokedCertificateBuilder().serial_number(2**150 + i).revocation_date(NOW).build() for i in range(3000)
    ]
    issuer._write_crl(entries, TERM)
    assert (issuer.store.directory / "ca.crl").stat().st_size > 65536
    issuer.renew_crl(TERM)
    assert len(_serials(issuer.store)) == 3000


def test_damaged_and_foreign_files_are_rejected(issuer: Issuer, tmp_path: Path) -> None:
    directory, other = issuer.store.directory, make_other(tmp_path / "other")
    theirs = other.issue(tmp_path / "x", PUMP, KeyKind.P256, TERM)
    mine = (directory / "ca.crl").read_bytes()
    for crl, why in (
        (b"-", "is not a certificate revocation list"),
        ((tmp_path / "other" / "ca.crl").read_bytes(), "not signed by this"),
    ):
        (directory / "ca.crl").write_bytes(crl)
        with pytest.raises(KeyStoreError, match=why):
            issuer.store.crl()
    (directory / "ca.crl").write_bytes(mine)
    (directory / "issued" / "1.crt").write_bytes(pki_store.pem(theirs))
    with pytest.raises(KeyStoreError, match="not issued by this authority"):
        issuer.store.issued()
    (directory / "ca.crt").write_bytes(b"-")
    with pytest.raises(KeyStoreError, match="is not a certificate"):
        CertificateStore(directory)


def test_a_key_that_does_not_match_its_certificate_is_detected(issuer: Issuer, tmp_path: Path) -> None:
    make_other(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "ca.key", issuer.store.directory / "ca.key")
    (issuer.store.directory / "ca.key").chmod(0o600)
    with pytest.raises(KeyStoreError, match="does not match its certificate"):
        Issuer(issuer.store, lambda: SECRET)
