# SPDX-License-Identifier: Apache-2.0
"""The messages of git, verbatim, and the failures that they map to. Other tests provoke most of them."""

from __future__ import annotations

import pytest

from reconciler.errors import FleetError, Stalled, Transient
from reconciler.git import errors
from reconciler.git.confined_git import GitResult
from reconciler.git.error_messages import failure_of

MESSAGES: list[tuple[str, type[FleetError]]] = [
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


@pytest.mark.parametrize(("message", "failure"), MESSAGES)
def test_messages_of_git_map_to_failures(message: str, failure: type[FleetError]) -> None:
    found = failure_of(GitResult(128, b"", message), "fetching", limit_s=10)
    assert type(found) is failure
    assert str(found).startswith("fetching: ")
    assert "\n" not in str(found)


def test_only_an_unavailable_remote_is_transient() -> None:
    assert isinstance(failure_of(GitResult(-9, b"", "", timed_out=True), "fetching", limit_s=10), Transient)
    assert isinstance(
        failure_of(GitResult(128, b"", "fatal: Authentication failed for x"), "fetching", limit_s=10), Stalled
    )
