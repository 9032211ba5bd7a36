# SPDX-License-Identifier: Apache-2.0
"""A signature by ssh-keygen has one form; the other forms that ssh-keygen reads are recognized."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.git.ssh_signature import is_canonical
from tests.git.forge import SshKey, make_ssh_key
from tests.git.ssh_signatures import BEGIN, ED25519_ORDER, SshSignature, armored, joined, split, ssh_signature

KINDS = ("ed25519", "ecdsa", "rsa")
ANY: list[Callable[[SshSignature], SshSignature]] = [
    SshSignature.with_other_line_breaks,
    SshSignature.with_a_reserved_field,
    SshSignature.with_version_0,
    SshSignature.with_text_behind,
]
FORMS = [
    *((kind, alter) for kind in KINDS for alter in ANY),
    ("ed25519", SshSignature.with_the_order_added),
    ("ecdsa", SshSignature.with_a_longer_number),
    ("rsa", SshSignature.with_a_longer_key),
]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshKey]:
    folder = tmp_path_factory.mktemp("kinds")
    return {kind: make_ssh_key(folder, kind, kind) for kind in KINDS}


def sign(key: SshKey, data: bytes) -> bytes:
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key.path), "-n", "git"]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout.strip()


def written(signature: SshSignature | bytes) -> str:
    return (signature if isinstance(signature, bytes) else signature.armored).decode()


@pytest.mark.parametrize("kind", KINDS)
def test_what_ssh_keygen_writes_is_canonical(kind: str, signing: dict[str, SshKey]) -> None:
    for number in range(8):  # of the numbers in it, one in two has a zero in front
        signature = sign(signing[kind], bytes([number]))
        assert is_canonical(written(signature))
        assert ssh_signature(signature).armored == signature


@pytest.mark.parametrize(("kind", "alter"), FORMS)
def test_another_form_of_a_signature_is_seen(
    kind: str, alter: Callable[[SshSignature], SshSignature], signing: dict[str, SshKey]
) -> None:
    genuine = ssh_signature(sign(signing[kind], b"a commit"))
    assert is_canonical(written(genuine))
    assert not is_canonical(written(alter(genuine)))


@pytest.mark.parametrize("alter", [SshSignature.with_the_order_added, SshSignature.with_a_reserved_field])
def test_ssh_keygen_accepts_these_forms(
    alter: Callable[[SshSignature], SshSignature], signing: dict[str, SshKey], tmp_path: Path
) -> None:
    """Otherwise there would be nothing to defend."""
    key = signing["ed25519"]
    (tmp_path / "signature").write_bytes(alter(ssh_signature(sign(key, b"a commit"))).armored + b"\n")
    (tmp_path / "allowed").write_text(f"ada {key.public}\n")
    command = ["ssh-keygen", "-Y", "verify", "-n", "git", "-I", "ada"]
    files = ["-f", str(tmp_path / "allowed"), "-s", str(tmp_path / "signature")]
    subprocess.run([*command, *files], input=b"a commit", check=True, capture_output=True)


def test_the_signature_of_a_security_key_is_checked_like_that_of_a_file(signing: dict[str, SshKey]) -> None:
    """Behind the number are flags and a counter, which the key signs."""
    genuine = ssh_signature(sign(signing["ed25519"], b"a commit"))
    of_security_key = replace(genuine, value=[b"sk-ssh-ed25519@openssh.com", genuine.value[1]], tail=b"\1\0\0\0\7")
    assert is_canonical(written(of_security_key))
    assert not is_canonical(written(of_security_key.with_the_order_added()))


@pytest.mark.parametrize(("number", "expected"), [(0, True), (ED25519_ORDER - 1, True), (ED25519_ORDER, False)])
def test_the_number_of_an_ed25519_signature_is_below_the_order(
    number: int, *, expected: bool, signing: dict[str, SshKey]
) -> None:
    genuine = ssh_signature(sign(signing["ed25519"], b"a commit"))
    algorithm, value = genuine.value
    changed = replace(genuine, value=[algorithm, value[:32] + number.to_bytes(32, "little")])
    assert is_canonical(written(changed)) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (b"", True),  # zero
        (b"\x7f", True),
        (b"\x00\x80", True),
        (b"\x00", False),
        (b"\x00\x7f", False),
        (b"\x00\x00\x80", False),
    ],
)
def test_a_number_has_no_needless_zero_in_front(number: bytes, *, expected: bool, signing: dict[str, SshKey]) -> None:
    genuine = ssh_signature(sign(signing["ecdsa"], b"a commit"))
    algorithm, value = genuine.value
    first, second = split(value)
    for numbers in ([number, second], [first, number]):
        assert is_canonical(written(replace(genuine, value=[algorithm, joined(numbers)]))) is expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_signature_is_not_canonical(kind: str, signing: dict[str, SshKey]) -> None:
    genuine = ssh_signature(sign(signing[kind], b"a commit"))
    blob = genuine.blob
    for size in range(len(blob)):
        assert not is_canonical(written(armored(blob[:size])))
    assert not is_canonical(written(armored(b"sshsig" + blob[6:])))
    assert not is_canonical(written(armored(blob[10:])))  # without what comes before the fields
    assert not is_canonical(written(armored(blob + joined([b"anything"]))))
    assert not is_canonical(written(replace(genuine, value=[b"ecdsa-sha2-nistp256", b"\0\0"])))
    assert not is_canonical(written(replace(genuine, value=[])))
    assert not is_canonical(BEGIN.decode())
    assert not is_canonical(written(genuine)[:40] + "!" + written(genuine)[41:])
