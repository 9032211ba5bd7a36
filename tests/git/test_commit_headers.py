# SPDX-License-Identifier: Apache-2.0
"""A signed commit that got another id from someone without the key, without changing what is signed."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable

import pytest

from reconciler.git.commit_headers import alteration
from reconciler.git.source import Advanced, CommitSource, Kept
from reconciler.model import Commit
from tests.git.forge import Forge, SshKey

Keys = dict[str, SshKey]
BEGIN, END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"


def with_sha256_signature(raw: bytes) -> bytes:
    return raw.replace(b"\n\n", b"\ngpgsig-sha256 anything\n\n", 1)


def with_two_signatures(raw: bytes) -> bytes:
    return raw.replace(b"\n\n", b"\ngpgsig anything\n\n", 1)


def signature(raw: bytes) -> tuple[bytes, bytes, bytes]:
    before, _, rest = raw.partition(BEGIN)
    armored, _, after = rest.partition(END)
    return before, base64.b64decode(armored.replace(b"\n ", b"")), after


def armored(blob: bytes, width: int) -> bytes:
    lines = textwrap.wrap(base64.b64encode(blob).decode(), width)
    return b"\n ".join([BEGIN, *(line.encode() for line in lines), END])


def with_other_line_breaks(raw: bytes) -> bytes:
    before, blob, after = signature(raw)
    return before + armored(blob, 64) + after


def with_text_behind_the_signature(raw: bytes) -> bytes:
    return raw.replace(END, END + b"\n anything", 1)


def with_a_reserved_field(raw: bytes) -> bytes:
    before, blob, after = signature(raw)
    at = blob.index(b"\0\0\0\3git") + 7
    return before + armored(blob[:at] + b"\0\0\0\1x" + blob[at + 4 :], 70) + after


ALTERATIONS: list[Callable[[bytes], bytes]] = [
    with_sha256_signature,
    with_two_signatures,
    with_other_line_breaks,
    with_text_behind_the_signature,
    with_a_reserved_field,
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
