# SPDX-License-Identifier: Apache-2.0
"""Passphrases come only from private sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signing import key_files, passphrase_sources
from signing.key_files import KeyStoreError

SECRET = b"correct horse battery staple"


def test_passphrase_from_a_private_file(tmp_path: Path) -> None:
    key_files.write_private(tmp_path / "pass", SECRET + b"\r\nsecond line\n")
    assert passphrase_sources.from_file(tmp_path / "pass") == SECRET
    (tmp_path / "pass").chmod(0o644)
    with pytest.raises(KeyStoreError, match="users other than its owner"):
        passphrase_sources.from_file(tmp_path / "pass")


def test_passphrase_from_a_descriptor() -> None:
    reading, writing = os.pipe()
    os.write(writing, SECRET + b"\n")
    assert passphrase_sources.from_descriptor(reading) == SECRET
    os.close(writing)
    with pytest.raises(KeyStoreError, match="no passphrase"):
        passphrase_sources.from_descriptor(reading)
    os.close(reading)
    with pytest.raises(KeyStoreError, match="can't read"):
        passphrase_sources.from_descriptor(reading)
