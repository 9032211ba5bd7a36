# SPDX-License-Identifier: Apache-2.0
"""Only the owner can access files with secrets; others are rejected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signing import key_files, keys
from signing.key_files import KeyStoreError

SECRET = b"correct horse battery staple"


def _never() -> bytes:
    raise AssertionError("asked for a passphrase that is not needed")


def test_only_the_owner_can_read_a_new_key(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        keys.save(keys.generate(), tmp_path / "deep" / "a.key", None)
    finally:
        os.umask(mask)
    assert (tmp_path / "deep" / "a.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys.save(keys.generate(), tmp_path / "a.key", None)
    with pytest.raises(KeyStoreError, match="already exists"):
        keys.save(keys.generate(), tmp_path / "a.key", None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o610, 0o620])
def test_a_key_that_others_can_access_is_rejected(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    keys.save(keys.generate(), path, None)
    path.chmod(mode)
    with pytest.raises(KeyStoreError, match="users other than its owner"):
        keys.load(path, _never)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    keys.save(keys.generate(), path, None)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyStoreError, match="belongs to another user"):
        keys.load(path, _never)


def test_a_symlink_to_a_key_is_rejected(tmp_path: Path) -> None:
    keys.save(keys.generate(), tmp_path / "a.key", None)
    (tmp_path / "b.key").symlink_to("a.key")
    with pytest.raises(KeyStoreError, match="can't open"):
        keys.load(tmp_path / "b.key", _never)


def test_only_regular_files_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.key").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "b.key", mode=0o600)
    for name in ("a.key", "b.key"):
        with pytest.raises(KeyStoreError, match="not a regular file"):
            keys.load(tmp_path / name, _never)


def test_an_unwritable_location_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyStoreError, match="can't create"):
        key_files.write_private(tmp_path / "file" / "a.key", b"")
    with pytest.raises(KeyStoreError, match="can't write"):
        key_files.write_public(tmp_path / "file" / "a.pub", b"")
    with pytest.raises(KeyStoreError, match="can't read"):
        key_files.read_public(tmp_path / "none")
