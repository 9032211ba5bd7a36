# SPDX-License-Identifier: Apache-2.0
"""What git says, word for word, and what that means. The other tests bring most of these about for real."""

from __future__ import annotations

import pytest

from reconciler.errors import FleetError, Stalled, Transient
from reconciler.git import errors
from reconciler.git.confined_git import GitResult
from reconciler.git.error_messages import meaning

SAID: list[tuple[str, type[FleetError]]] = [
    ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", errors.DiskFull),
    ("error: unable to create temporary file: Read-only file system", errors.MirrorUnwritable),
    (
        "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
        errors.AuthenticationFailed,
    ),
    ("fatal: could not read Username for 'https://h': terminal prompts disabled", errors.AuthenticationFailed),
    ("fatal: unable to access 'https://h/': The requested URL returned error: 403", errors.AuthenticationFailed),
    ("Host key verification failed.\nfatal: Could not read from remote repository.", errors.HostKeyUnknown),
    (
        "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
        errors.HostKeyUnknown,
    ),
    ("fatal: couldn't find remote ref refs/heads/main", errors.RefMissing),
    ("ssh: Could not resolve hostname h: Name or service not known", errors.RemoteUnavailable),
    ("fatal: unable to access 'https://h/': Could not resolve host: h", errors.RemoteUnavailable),
    ("fatal: the remote end hung up unexpectedly", errors.RemoteUnavailable),
    ("", errors.RemoteUnavailable),
]


@pytest.mark.parametrize(("said", "failure"), SAID)
def test_words_of_git(said: str, failure: type[FleetError]) -> None:
    found = meaning(GitResult(128, b"", said), "fetching", limit_s=10)
    assert type(found) is failure
    assert str(found).startswith("fetching: ")
    assert "\n" not in str(found)


def test_only_an_absent_remote_heals_by_itself() -> None:
    assert isinstance(meaning(GitResult(-9, b"", "", timed_out=True), "fetching", limit_s=10), Transient)
    assert isinstance(meaning(GitResult(128, b"", SAID[0][0]), "fetching", limit_s=10), Stalled)
