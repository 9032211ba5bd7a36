# SPDX-License-Identifier: Apache-2.0
"""Keys round-trip through files, and show only their ids."""

from __future__ import annotations

import copy
import logging
import pickle
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from signing import key_files, keys
from signing.key_files import KeyStoreError
from tests.signing.forgery import Key

SECRET = b"correct horse battery staple"


def _never() -> bytes:
    raise AssertionError("asked for a passphrase that is not needed")


def test_a_key_round_trips(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", None)
    assert keys.load(tmp_path / "a.key", _never).public_key == key.public_key


def test_an_encrypted_key_round_trips(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", SECRET)
    loaded = keys.load(tmp_path / "a.key", lambda: SECRET)
    assert loaded.sign(b"x") == key.sign(b"x")
    assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()


def test_a_wrong_passphrase_is_reported_without_quoting_it(tmp_path: Path) -> None:
    keys.save(keys.generate(), tmp_path / "a.key", SECRET)
    with pytest.raises(KeyStoreError, match="passphrase is wrong") as refusal:
        keys.load(tmp_path / "a.key", lambda: b"incorrect horse")
    assert "horse" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="at least 12"):
        keys.save(keys.generate(), tmp_path / "a.key", b"elevenchars")
    assert not (tmp_path / "a.key").exists()
    keys.save(keys.generate(), tmp_path / "a.key", b"twelve chars")


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    key_files.write_private(tmp_path / "a.key", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyStoreError, match="not an Ed25519 key"):
        keys.load(tmp_path / "a.key", _never)


def test_random_bytes_are_not_a_key(tmp_path: Path) -> None:
    key_files.write_private(tmp_path / "a.key", b"noise")
    with pytest.raises(KeyStoreError, match="is not a private key"):
        keys.load(tmp_path / "a.key", _never)


def test_a_private_key_shows_only_its_id(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", None)
    secret = (tmp_path / "a.key").read_bytes().splitlines()[1]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().debug("%r %s", key, key)
    assert secret.decode() not in caplog.text
    assert repr(key).startswith("<private key ")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            leak(key)


def test_public_key_formats(tmp_path: Path) -> None:
    public_key = Key().public_key
    (tmp_path / "key.pem").write_bytes(keys.public_pem(public_key))
    (tmp_path / "key.hex").write_text(public_key.hex() + "\n", encoding="ascii")
    assert keys.read_public_key(tmp_path / "key.pem") == public_key
    assert keys.read_public_key(tmp_path / "key.hex") == public_key


def test_the_c_header_compiles_to_the_key(tmp_path: Path) -> None:
    public_key = Key().public_key
    (tmp_path / "key.h").write_bytes(keys.public_header(public_key))
    source = (
        '#include "key.h"\n#include <stdio.h>\nstatic const unsigned char k[] = TINYFLEET_ROOT_KEY;\n'
        "int main(void) { fwrite(k, 1, sizeof k, stdout); return 0; }\n"
    )
    (tmp_path / "main.c").write_text(source, encoding="ascii")
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    assert subprocess.run(["./main"], cwd=tmp_path, capture_output=True, check=True).stdout == public_key


@pytest.mark.parametrize(
    "content",
    [
        b"noise",
        b"00" * 31,
        b"\xff",
        b"-----BEGIN PUBLIC KEY-----\nnoise\n-----END PUBLIC KEY-----\n",
        generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["noise", "too short", "not ascii", "broken PEM", "another kind"],
)
def test_files_that_are_not_public_keys(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(KeyStoreError, match=r"not an? (Ed25519 )?public key"):
        keys.read_public_key(tmp_path / "a")
