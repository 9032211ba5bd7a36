# SPDX-License-Identifier: Apache-2.0
"""Signatures that have several genuine forms, and what the holder of a Git server gains from that."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.git.mirror import Mirror
from reconciler.git.signatures import SignatureMode, SignaturePolicy
from reconciler.git.source import Advanced, CommitSource, Kept, Unchanged
from reconciler.model import Commit
from tests.git.forge import Forge, GpgKey, Key, make_ssh_key
from tests.git.ssh_signatures import SshSignature
from tests.git.test_commit_headers import with_signature

PGP_BEGIN, PGP_END = b"-----BEGIN PGP SIGNATURE-----\n", b"-----END PGP SIGNATURE-----"
NOT_SIGNED = b"\3\x64xx"  # a subpacket with its length in front: a private type and two bytes


def with_a_field_that_is_not_signed(raw: bytes) -> bytes:
    """Add to a GPG signature (RFC 4880, section 5.2.3) a field of the part that it does not cover."""
    before, _, rest = raw.partition(PGP_BEGIN)
    lines, _, after = rest.partition(PGP_END)
    packet = base64.b64decode(b"".join(line.strip() for line in lines.split(b"\n") if not line.startswith(b" =")))
    tag, body = packet[:1], packet[2:]
    assert (tag[0] & 0b11, len(body)) == (0, packet[1])  # the length is in one byte
    at = 6 + int.from_bytes(body[4:6], "big")
    size = int.from_bytes(body[at : at + 2], "big") + len(NOT_SIGNED)
    changed = body[:at] + size.to_bytes(2, "big") + NOT_SIGNED + body[at + 2 :]
    text = base64.b64encode(tag + bytes([len(changed)]) + changed)
    return before + PGP_BEGIN + b" \n " + text + b"\n " + PGP_END + after


@pytest.fixture
def ecdsa(tmp_path: Path, mirror: Mirror) -> tuple[Key, CommitSource]:
    key = make_ssh_key(tmp_path / "keys", "ada", "ecdsa")
    (tmp_path / "signers").write_text(f'ada@example.org namespaces="git" {key.public}\n')
    policy = SignaturePolicy(SignatureMode.EVERY, allowed_signers=tmp_path / "signers")
    return key, CommitSource(mirror, policy, tmp_path / "state")


@pytest.fixture
def openpgp(tmp_path: Path, forge: Forge, mirror: Mirror, gpg: dict[str, GpgKey]) -> tuple[Key, CommitSource]:
    forge.gpg_home = gpg["ada"].home
    (tmp_path / "signers.asc").write_bytes(gpg["ada"].export())
    policy = SignaturePolicy(SignatureMode.EVERY, gpg_keys=tmp_path / "signers.asc")
    return gpg["ada"], CommitSource(mirror, policy, tmp_path / "state")


@pytest.mark.parametrize(
    ("kind", "alter"),
    [
        ("ecdsa", with_signature(SshSignature.with_the_other_number)),
        ("openpgp", with_a_field_that_is_not_signed),
    ],
)
def test_the_second_form_of_a_signature_stops_the_history_and_changes_nothing_else(
    kind: str, alter: Callable[[bytes], bytes], forge: Forge, request: pytest.FixtureRequest
) -> None:
    """The page says so under "What is not defended": what runs is what was signed, and an operator ends it."""
    key, source = request.getfixturevalue(kind)
    base = forge.commit(key=key)
    assert isinstance(source.poll(None), Advanced)
    genuine = forge.commit(key=key, push=False)
    raw = forge.git("cat-file", "commit", genuine).encode() + b"\n"
    altered = Commit(forge.git("hash-object", "-t", "commit", "-w", "--stdin", data=alter(raw)))
    assert altered != genuine
    assert forge.git("rev-parse", f"{altered}^{{tree}}") == forge.git("rev-parse", f"{genuine}^{{tree}}")
    forge.git("push", "--quiet", "origin", f"{altered}:refs/heads/main")
    assert isinstance(source.poll(base), Advanced)

    forge.git("push", "--quiet", "--force", "origin", f"{genuine}:refs/heads/main")
    kept = source.poll(altered)
    assert isinstance(kept, Kept)
    assert (kept.commit, kept.reason) == (altered, "HistoryRewritten")
    source.accept(genuine)
    assert source.poll(genuine) == Unchanged(genuine)
