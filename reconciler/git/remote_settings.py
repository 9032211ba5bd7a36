# SPDX-License-Identifier: Apache-2.0
"""The location of the fleet repository, how to authenticate, and the limits on what a remote may cost.

All of it comes from the gateway's own configuration and never from a repository.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.git.errors import ProtocolRefused, SettingsUnsafe

PROTOCOLS = frozenset({"https", "http", "ssh", "git", "file"})

# `user@host:path`. A `::` would select a transport helper, and a leading `-` an option of ssh.
_SCP_LIKE = re.compile(r"(?:[\w.][\w.+-]*@)?[A-Za-z0-9\[][\w.:\]-]*?:(?!:)(?!//)[^:].*")
_REF_NAME = re.compile(r"refs/(?:heads|tags)/[A-Za-z0-9_][\w.+@-]*(?:/[A-Za-z0-9_][\w.+@-]*)*")


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to reach an SSH remote. A user's `~/.ssh/config` is ignored."""

    key: Path | None = None  # None: the agent or the user's default keys
    known_hosts: Path | None = None  # None: the user's own known_hosts
    program: str = "ssh"
    connect_timeout_s: int = 15

    def command(self) -> str:
        """Return the command for git. Git passes it to a shell, so the words are quoted."""
        words = [self.program, "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        words += ["-o", f"ConnectTimeout={self.connect_timeout_s}"]
        # A dead connection is detected after three keepalives without an answer.
        words += ["-o", f"ServerAliveInterval={self.connect_timeout_s}", "-o", "ServerAliveCountMax=3"]
        words += ["-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no"]
        if self.known_hosts is not None:
            words += ["-o", f'UserKnownHostsFile="{self.known_hosts}"', "-o", "GlobalKnownHostsFile=none"]
        if self.key is not None:
            words += ["-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class GitLimits:
    """Limits for each step. No step waits for a remote without a limit."""

    ask_s: float = 30.0  # to list the refs of a remote
    transfer_s: float = 300.0  # for one fetch or push
    local_s: float = 60.0  # for one command in the mirror
    verify_s: float = 300.0  # for all signatures of one poll
    transfer_bytes: int = 1 << 30  # largest file that a fetch may write
    answer_bytes: int = 8 << 20  # of a list of refs: about 100,000 of them
    depth: int = 32  # depth of the first fetch, in commits
    commits: int = 10_000  # maximum number of new commits to examine
    status_commits: int = 500  # maximum length of a status branch before its history restarts


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository and the ref to track."""

    url: str
    ref: str = "refs/heads/main"
    ssh: SshOptions = SshOptions()
    credential_helper: str | None = None  # as git's `credential.helper`, e.g. `store --file=/etc/...`
    ca_file: Path | None = None
    owner_trusted: bool = False  # a repository on this machine may belong to another user

    def __post_init__(self) -> None:
        protocol_of(self.url)
        check_ref(self.ref)

    @property
    def protocol(self) -> str:
        """The only protocol that git may use for this remote."""
        return protocol_of(self.url)

    @property
    def local_path(self) -> Path | None:
        """The path of the repository, if it is on this machine."""
        if self.protocol != "file":
            return None
        return Path(self.url.removeprefix("file://"))


def branch_ref(name: str) -> str:
    """Return the full ref of a branch."""
    return check_ref(f"refs/heads/{name}")


def tag_ref(name: str) -> str:
    """Return the full ref of a tag."""
    return check_ref(f"refs/tags/{name}")


def check_ref(ref: str) -> str:
    """Return the ref, or refuse one that git could read as an option, a pattern or a path out of `refs/`."""
    if _REF_NAME.fullmatch(ref) is None or ".." in ref or ref.endswith((".lock", ".")):
        raise SettingsUnsafe(f"{ref!r} is not a valid branch (refs/heads/...) or tag (refs/tags/...)")
    return ref


def protocol_of(url: str) -> str:
    """Return the protocol of a URL, or refuse a URL that is not safe to pass to git."""
    if not url.isprintable() or url.startswith("-"):
        raise SettingsUnsafe("the repository's URL has unprintable characters or starts with a dash")
    if url.startswith("/"):
        return "file"
    scheme = url.partition(":")[0].lower()
    if url.startswith(f"{scheme}://") and scheme in PROTOCOLS:
        return _checked_scheme(url, scheme)
    if _SCP_LIKE.fullmatch(url) and "::" not in url:
        return "ssh"
    raise ProtocolRefused(
        f"{url.partition('://')[0][:60]!r} is not a supported protocol; use https://, ssh://, "
        "user@host:path, git://, http://, file:// or an absolute path"
    )


def _checked_scheme(url: str, scheme: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # its message may show a password
        raise SettingsUnsafe("the host in the repository's URL is not valid") from None
    if parts.password is not None:
        raise SettingsUnsafe("the repository's URL contains a password: use a credential helper instead")
    if scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise SettingsUnsafe("a file:// URL must have the form file:///absolute/path")
    elif not parts.hostname or parts.hostname.startswith("-"):
        raise SettingsUnsafe("the repository's URL has no host, or one that git could read as an option")
    return scheme
