# SPDX-License-Identifier: Apache-2.0
"""Keys in files: made for their owner alone, never shown, and refused when others could have read them."""

from __future__ import annotations

import copy
import logging
import os
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
    load_der_public_key,
)

from signing import keyfiles, keys, passphrase, pkcs8
from signing.keyfiles import KeyStoreError
from tests.signing.forge import Key

SECRET = b"correct horse battery staple"


def _never() -> bytes:
    raise AssertionError("asked for a passphrase that is not needed")


def test_a_key_comes_back(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", None)
    assert keys.load(tmp_path / "a.key", _never).public_key == key.public_key


def test_an_encrypted_key_comes_back(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", SECRET)
    loaded = keys.load(tmp_path / "a.key", lambda: SECRET)
    assert loaded.sign(b"x") == key.sign(b"x")
    assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()


def test_openssl_reads_an_encrypted_key(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", SECRET)
    (tmp_path / "pass").write_bytes(SECRET)
    command = ["openssl", "pkey", "-in", "a.key", "-passin", "file:pass", "-pubout", "-outform", "DER"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    public = load_der_public_key(done.stdout)
    assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == key.public_key


@pytest.mark.parametrize(("size", "length"), [(0, "00"), (127, "7f"), (128, "8180"), (255, "81ff")])
def test_lengths_as_der_has_them(size: int, length: str) -> None:
    assert pkcs8._der(0x04, bytes(size)).hex() == f"04{length}{'00' * size}"


def test_a_new_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        keys.save(keys.generate(), tmp_path / "deep" / "a.key", None)
    finally:
        os.umask(mask)
    assert (tmp_path / "deep" / "a.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys.save(keys.generate(), tmp_path / "a.key", None)
    with pytest.raises(KeyStoreError, match="is there already"):
        keys.save(keys.generate(), tmp_path / "a.key", None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o610, 0o620])
def test_a_key_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    keys.save(keys.generate(), path, None)
    path.chmod(mode)
    with pytest.raises(KeyStoreError, match="others than its owner"):
        keys.load(path, _never)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    keys.save(keys.generate(), path, None)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyStoreError, match="belongs to another user"):
        keys.load(path, _never)


def test_a_link_to_a_key_is_refused(tmp_path: Path) -> None:
    keys.save(keys.generate(), tmp_path / "a.key", None)
    (tmp_path / "b.key").symlink_to("a.key")
    with pytest.raises(KeyStoreError, match="can't open"):
        keys.load(tmp_path / "b.key", _never)


def test_something_else_than_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.key").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "b.key", mode=0o600)
    for name in ("a.key", "b.key"):
        with pytest.raises(KeyStoreError, match="not a regular file"):
            keys.load(tmp_path / name, _never)


def test_a_wrong_passphrase_is_told_and_not_repeated(tmp_path: Path) -> None:
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
    keyfiles.write_private(tmp_path / "a.key", other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyStoreError, match="not an Ed25519 key"):
        keys.load(tmp_path / "a.key", _never)


def test_noise_is_no_key(tmp_path: Path) -> None:
    keyfiles.write_private(tmp_path / "a.key", b"noise")
    with pytest.raises(KeyStoreError, match="is no private key"):
        keys.load(tmp_path / "a.key", _never)


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyStoreError, match="can't create"):
        keyfiles.write_private(tmp_path / "file" / "a.key", b"")
    with pytest.raises(KeyStoreError, match="can't write"):
        keyfiles.write_public(tmp_path / "file" / "a.pub", b"")
    with pytest.raises(KeyStoreError, match="can't read"):
        keyfiles.read_public(tmp_path / "none")


def test_a_private_key_shows_its_name_alone(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", None)
    secret = (tmp_path / "a.key").read_bytes().splitlines()[1]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().debug("%r %s", key, key)
    assert secret.decode() not in caplog.text
    assert repr(key).startswith("<private key ")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not passed on"):
            leak(key)


def test_public_forms(tmp_path: Path) -> None:
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
def test_what_is_no_public_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(KeyStoreError, match=r"no (Ed25519 )?public key"):
        keys.read_public_key(tmp_path / "a")


def test_passphrase_from_a_private_file(tmp_path: Path) -> None:
    keyfiles.write_private(tmp_path / "pass", SECRET + b"\r\nsecond line\n")
    assert passphrase.from_file(tmp_path / "pass") == SECRET
    (tmp_path / "pass").chmod(0o644)
    with pytest.raises(KeyStoreError, match="others than its owner"):
        passphrase.from_file(tmp_path / "pass")


def test_passphrase_from_a_descriptor() -> None:
    reading, writing = os.pipe()
    os.write(writing, SECRET + b"\n")
    assert passphrase.from_descriptor(reading) == SECRET
    os.close(writing)
    with pytest.raises(KeyStoreError, match="no passphrase"):
        passphrase.from_descriptor(reading)
    os.close(reading)
    with pytest.raises(KeyStoreError, match="can't read"):
        passphrase.from_descriptor(reading)
