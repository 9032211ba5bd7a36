# SPDX-License-Identifier: Apache-2.0
"""Key files of certificates are protected like all other key files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signing import pki_keys, private_key_pem
from signing.key_files import KeyStoreError, write_private
from signing.pki_keys import KeyKind

SECRET = b"correct horse battery staple"


@pytest.mark.parametrize("passphrase", [None, SECRET])
@pytest.mark.parametrize("kind", KeyKind)
def test_a_key_round_trips_through_its_file(tmp_path: Path, kind: KeyKind, passphrase: bytes | None) -> None:
    key, path = pki_keys.generate(kind), tmp_path / "a.key"
    private_key_pem.save(key, path, passphrase)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (b"ENCRYPTED" in path.read_bytes()) == (passphrase is not None)
    assert pki_keys.load(path, lambda: SECRET).public_key() == key.public_key()
    openssl = ["openssl", "pkey", "-in", str(path), "-noout", "-passin", f"pass:{SECRET.decode()}"]
    subprocess.run(openssl, check=True, capture_output=True)


def test_only_an_encrypted_key_needs_a_passphrase(tmp_path: Path) -> None:
    key = pki_keys.generate(KeyKind.P256)
    private_key_pem.save(key, tmp_path / "a.key", None)
    assert pki_keys.load(tmp_path / "a.key", pytest.fail).public_key() == key.public_key()


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="at least 12"):
        private_key_pem.save(pki_keys.generate(KeyKind.P256), tmp_path / "a.key", b"eleven-long")
    assert not (tmp_path / "a.key").exists()
    private_key_pem.save(pki_keys.generate(KeyKind.P256), tmp_path / "a.key", b"twelve-chars")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    private_key_pem.save(pki_keys.generate(KeyKind.P256), tmp_path / "a.key", None)
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(KeyStoreError, match="users other than its owner"):
        pki_keys.load(tmp_path / "a.key", bytes)


def test_a_wrong_passphrase_is_reported_without_quoting_it(tmp_path: Path) -> None:
    private_key_pem.save(pki_keys.generate(KeyKind.P256), tmp_path / "a.key", SECRET)
    with pytest.raises(KeyStoreError, match="passphrase is wrong") as refusal:
        pki_keys.load(tmp_path / "a.key", lambda: b"wrong-wrong-wrong")
    assert "wrong-wrong" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    write_private(tmp_path / "a.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyStoreError, match="neither an EC nor an Ed25519"):
        pki_keys.load(tmp_path / "a.key", bytes)
