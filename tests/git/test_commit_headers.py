# SPDX-License-Identifier: Apache-2.0
"""A signed commit that got another id from someone without the key, without changing what is signed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.git.commit_headers import alteration
from reconciler.git.source import Advanced, CommitSource, Kept
from reconciler.model import Commit
from tests.git.forge import Forge, SshKey
from tests.git.ssh_signatures import BEGIN, END, SshSignature, ssh_signature

Keys = dict[str, SshKey]


def with_sha256_signature(raw: bytes) -> bytes:
    return raw.replace(b"\n\n", b"\ngpgsig-sha256 anything\n\n", 1)


def with_two_signatures(raw: bytes) -> bytes:
    return raw.replace(b"\n\n", b"\ngpgsig anything\n\n", 1)


def with_signature(alter: Callable[[SshSignature], SshSignature]) -> Callable[[bytes], bytes]:
    """Write the signature of a commit in another form."""

    def altered(raw: bytes) -> bytes:
        before, _, rest = raw.partition(BEGIN)
        signature, _, after = rest.partition(END)
        other = alter(ssh_signature((BEGIN + signature + END).replace(b"\n ", b"\n")))
        return before + other.armored.replace(b"\n", b"\n ") + after

    return altered


ALTERATIONS: list[Callable[[bytes], bytes]] = [
    with_sha256_signature,
    with_two_signatures,
    with_signature(SshSignature.with_other_line_breaks),
    with_signature(SshSignature.with_text_behind),
    with_signature(SshSignature.with_a_reserved_field),
    with_signature(SshSignature.with_version_0),
    with_signature(SshSignature.with_the_order_added),
]


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_an_altered_commit_is_refused_and_the_genuine_one_is_applied_later(
    forge: Forge, source: CommitSource, keys: Keys, alter: Callable[[bytes], bytes]
) -> None:
    base = forge.commit(key=keys["ada"])
    assert isinstance(source.poll(None), Advanced)
    genuine = forge.commit(key=keys["ada"], push=False)
    raw = forge.git("cat-file", "commit", genuine).encode() + b"\n"
    altered = Commit(forge.git("hash-object", "-t", "commit", "-w", "--stdin", data=alter(raw)))
    assert altered != genuine
    forge.git("push", "--quiet", "origin", f"{altered}:refs/heads/main")
    kept = source.poll(base)
    assert isinstance(kept, Kept), kept
    assert (kept.commit, kept.candidate) == (base, altered)
    assert kept.reason in {"ObjectsRefused", "BadSignature", "UntrustedSigner"}
    forge.git("push", "--quiet", "--force", "origin", f"{genuine}:refs/heads/main")
    assert isinstance(source.poll(base), Advanced)


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_each_alteration_is_seen_in_the_headers(forge: Forge, keys: Keys, alter: Callable[[bytes], bytes]) -> None:
    raw = forge.git("cat-file", "commit", forge.commit(key=keys["ada"])).encode() + b"\n"
    assert alteration(raw) is None
    assert alteration(alter(raw)) is not None


@pytest.mark.parametrize("header", ["HG:extra", "tree", "parents", "Gpgsig", "gpgsig\x1b[2J"])
def test_an_unknown_or_repeated_header_is_named(forge: Forge, keys: Keys, header: str) -> None:
    raw = forge.git("cat-file", "commit", forge.commit(key=keys["ada"])).encode() + b"\n"
    wrong = alteration(raw.replace(b"\n\n", f"\n{header} value\n\n".encode(), 1))
    assert wrong is not None
    assert header.partition("\x1b")[0] in wrong
    assert "\x1b" not in wrong


def test_merged_tags_and_encodings_are_known(forge: Forge, keys: Keys) -> None:
    forge.commit(key=keys["ada"])
    forge.git("checkout", "--quiet", "-b", "side")
    forge.commit({"side": "1\n"}, key=keys["bob"], push=False)
    forge.git(*keys["bob"].signs(), "tag", "-s", "-m", "a release", "v1")
    forge.git("checkout", "--quiet", "main")
    forge.commit({"main": "1\n"}, key=keys["ada"])
    merged = ("-c", "i18n.commitEncoding=ISO-8859-1", "merge", "--quiet", "--no-ff", "-m", "Merge v1", "v1")
    forge.git(*keys["ada"].signs(), *merged)
    raw = forge.git("cat-file", "commit", "HEAD").encode()
    assert b"\nmergetag " in raw
    assert b"\nencoding ISO-8859-1" in raw
    assert alteration(raw) is None


def test_a_line_that_continues_nothing_is_not_a_header(forge: Forge, keys: Keys) -> None:
    raw = forge.git("cat-file", "commit", forge.commit(key=keys["ada"])).encode()
    assert alteration(b" " + raw) is not None


def test_only_a_signature_by_ssh_has_the_form_of_ssh_keygen(forge: Forge, keys: Keys) -> None:
    raw = forge.git("cat-file", "commit", forge.commit(key=keys["ada"])).encode()
    by_gpg = raw.replace(BEGIN, b"-----BEGIN PGP SIGNATURE-----").replace(END, b"-----END PGP SIGNATURE-----")
    assert alteration(by_gpg) is None
    assert alteration(raw.replace(b"\n\n", b"\nencoding " + BEGIN + b"\n\n", 1)) is None
