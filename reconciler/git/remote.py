# SPDX-License-Identifier: Apache-2.0
"""Where the fleet repository is, how to get in, and what a remote may cost.

All of it comes from the gateway's own configuration; nothing here is ever read from a repository.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.git.errors import ProtocolRefused, SettingsUnsafe

PROTOCOLS = frozenset({"https", "http", "ssh", "git", "file"})

# `user@host:path`. A `::` would name a transport helper, a leading `-` an option of ssh.
_SCP_LIKE = re.compile(r"(?:[\w.][\w.+-]*@)?[A-Za-z0-9\[][\w.:\]-]*?:(?!:)(?!//)[^:].*")
_REF_NAME = re.compile(r"refs/(?:heads|tags)/[A-Za-z0-9_][\w.+@-]*(?:/[A-Za-z0-9_][\w.+@-]*)*")


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to reach an SSH remote. Nothing is taken from a user's `~/.ssh/config`."""

    key: Path | None = None  # None: the agent, or the user's default keys
    known_hosts: Path | None = None  # None: the user's own known_hosts
    program: str = "ssh"
    connect_timeout_s: int = 15

    def command(self) -> str:
        """Write the command for git; it is split by a shell, hence the quotes."""
        words = [self.program, "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        words += ["-o", f"ConnectTimeout={self.connect_timeout_s}"]
        # A link that dies without a word is noticed after three unanswered questions.
        words += ["-o", f"ServerAliveInterval={self.connect_timeout_s}", "-o", "ServerAliveCountMax=3"]
        words += ["-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no"]
        if self.known_hosts is not None:
            words += ["-o", f'UserKnownHostsFile="{self.known_hosts}"', "-o", "GlobalKnownHostsFile=none"]
        if self.key is not None:
            words += ["-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class GitLimits:
    """What one step may cost. No step of ours waits for a remote without one of these."""

    ask_s: float = 30.0  # to ask a remote for the tip of a branch
    transfer_s: float = 300.0  # for one fetch or push
    local_s: float = 60.0  # for one command on our own copy
    verify_s: float = 300.0  # for all signatures of one poll
    transfer_bytes: int = 1 << 30  # the largest file that a fetch may write
    depth: int = 32  # commits of history that a fetch asks for at first
    commits: int = 10_000  # new commits that are looked through before a remote is given up
    status_commits: int = 500  # commits of a status branch before its history starts anew


@dataclass(frozen=True, slots=True)
class Remote:
    """One repository and the ref of it to follow."""

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
        """The one protocol that git may speak for this remote."""
        return protocol_of(self.url)

    @property
    def local_path(self) -> Path | None:
        """Where the repository is, if it is on this machine."""
        if self.protocol != "file":
            return None
        return Path(self.url.removeprefix("file://"))


def branch_ref(name: str) -> str:
    """Name a branch in full."""
    return check_ref(f"refs/heads/{name}")


def tag(name: str) -> str:
    """Name a tag in full."""
    return check_ref(f"refs/tags/{name}")


def check_ref(ref: str) -> str:
    """Return the ref unless it could be read as an option, a pattern or a path out of `refs/`."""
    if _REF_NAME.fullmatch(ref) is None or ".." in ref or ref.endswith((".lock", ".")) or "@{" in ref:
        raise SettingsUnsafe(f"{ref!r} is not a branch (refs/heads/...) or tag (refs/tags/...) that can be followed")
    return ref


def protocol_of(url: str) -> str:
    """Return the protocol of a URL that is safe to hand to git, or refuse it."""
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
        f"{url.partition('://')[0][:60]!r} is no way to reach a repository; allowed are "
        "https://, ssh://, user@host:path, git://, http://, file:// and an absolute path"
    )


def _checked_scheme(url: str, scheme: str) -> str:
    parts = urlsplit(url)
    if parts.password is not None:
        raise SettingsUnsafe("the repository's URL holds a password: use a credential helper instead")
    if scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise SettingsUnsafe("a file:// URL is written file:///absolute/path")
    elif not parts.hostname or parts.hostname.startswith("-"):
        raise SettingsUnsafe("the repository's URL names no host, or one that reads as an option")
    return scheme
