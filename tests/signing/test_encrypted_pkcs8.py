# SPDX-License-Identifier: Apache-2.0
"""Other software can read encrypted key files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from signing import encrypted_pkcs8, keys

SECRET = b"correct horse battery staple"


def test_openssl_reads_an_encrypted_key(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(key, tmp_path / "a.key", SECRET)
    (tmp_path / "pass").write_bytes(SECRET)
    command = ["openssl", "pkey", "-in", "a.key", "-passin", "file:pass", "-pubout", "-outform", "DER"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    public = load_der_public_key(done.stdout)
    assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == key.public_key


@pytest.mark.parametrize(("size", "length"), [(0, "00"), (127, "7f"), (128, "8180"), (255, "81ff")])
def test_der_lengths(size: int, length: str) -> None:
    assert encrypted_pkcs8._der(0x04, bytes(size)).hex() == f"04{length}{'00' * size}"
