# SPDX-License-Identifier: Apache-2.0
"""The keys of an allowed_signers file, compared with what ssh-keygen says of the same keys."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.git.allowed_signers import AllowedKey, allowed_keys, fingerprint_of
from reconciler.git.errors import SignersUnreadable
from tests.git.forge import SshKey


def fingerprint(key: SshKey) -> str:
    command = ["ssh-keygen", "-l", "-f", str(key.path.with_suffix(".pub"))]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def test_every_form_of_a_line_is_read(keys: dict[str, SshKey], tmp_path: Path) -> None:
    path = tmp_path / "signers"
    path.write_text(
        "# gateways\n\n"
        f"hall-north {keys['ada'].public}\n"
        f'  gateway@hall-south namespaces="git",valid-before="20371231" {keys["bob"].public} of 2026\n'
        f'"hall-east,hall-west" namespaces="git file" {keys["forge"].public}\n'
    )
    assert allowed_keys(path) == (
        AllowedKey("hall-north", fingerprint(keys["ada"])),
        AllowedKey("gateway@hall-south", fingerprint(keys["bob"])),
        AllowedKey("hall-east,hall-west", fingerprint(keys["forge"])),
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hall-north", "signers:2: expected a principal"),
        ("hall-north ssh-ed25519 AAA", "signers:2: the key is damaged"),
        ('* cert-authority,namespaces="git" {key}', "signers:2: name the keys themselves"),
        ("* CERT-AUTHORITY {key}", "signers:2: name the keys themselves"),
    ],
)
def test_a_line_that_is_not_understood_is_an_error(
    line: str, expected: str, keys: dict[str, SshKey], tmp_path: Path
) -> None:
    path = tmp_path / "signers"
    path.write_text("# gateways\n" + line.format(key=keys["ada"].public) + "\n")
    with pytest.raises(SignersUnreadable, match=expected):
        allowed_keys(path)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SignersUnreadable, match="cannot read"):
        allowed_keys(tmp_path / "signers")
    (tmp_path / "signers").write_bytes(b"\xff\n")
    with pytest.raises(SignersUnreadable, match="not a file of allowed signers"):
        allowed_keys(tmp_path / "signers")


def test_a_certificate_authority_of_people_is_read_where_that_is_asked_for(
    keys: dict[str, SshKey], tmp_path: Path
) -> None:
    path = tmp_path / "signers"
    path.write_text(f'*@example.org cert-authority,namespaces="git" {keys["ada"].public}\n')
    assert allowed_keys(path, authorities=True) == (AllowedKey("*@example.org", fingerprint(keys["ada"])),)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_to_sign_with_is_private_or_public(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True, capture_output=True)
    expected = fingerprint(SshKey("key", path))
    assert fingerprint_of(path.with_suffix(".pub")) == expected
    path.with_suffix(".pub").unlink()
    assert fingerprint_of(path) == expected


def test_a_key_that_cannot_sign_here_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(SignersUnreadable, match="cannot read"):
        fingerprint_of(path)
    path.write_text("no key\n")
    with pytest.raises(SignersUnreadable, match="is not an SSH key"):
        fingerprint_of(path)
    path.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)], check=True)
    with pytest.raises(SignersUnreadable, match="has a passphrase"):
        fingerprint_of(path)
