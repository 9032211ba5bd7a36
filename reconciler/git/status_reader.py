# SPDX-License-Identifier: Apache-2.0
"""Reads the status branches that a repository already has, for commands that show them to people.

Signatures are not verified here. Gateways, which act on each other's reports, use `peer_status`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.git.confined_git import ConfinedGit
from reconciler.git.errors import MirrorDamaged
from reconciler.model import Commit

# In a bare repository, in a clone, and in a gateway's mirror of the others.
_FOLDERS = ("refs/heads/status/", "refs/remotes/", "refs/tinyfleet/peers/")
_NAMED = re.compile(r"refs/(?:heads/status|remotes/[^/]+/status|tinyfleet/peers)/([^/]+)")
_FORMAT = "%(refname)%00%(objectname)%00%(committerdate:unix)"


@dataclass(frozen=True, slots=True)
class StatusBranch:
    """The status branch of one gateway, as this repository has it."""

    gateway: str
    commit: Commit
    at: datetime  # according to the committer


def status_branches(git: ConfinedGit, *, limit_s: float) -> dict[str, StatusBranch]:
    """Find the status branches: of the remotes of a clone, or of a bare repository. The newest one wins."""
    lines = git.local("for-each-ref", f"--format={_FORMAT}", *_FOLDERS, limit_s=limit_s).decode().splitlines()
    found: dict[str, StatusBranch] = {}
    for line in lines:
        ref, commit, seconds = line.split("\0")
        named = _NAMED.fullmatch(ref)
        if named is None or not seconds:
            continue
        gateway = named[1]
        branch = StatusBranch(gateway, Commit(commit), datetime.fromtimestamp(int(seconds), UTC))
        known = found.get(gateway)
        if known is None or known.at <= branch.at:
            found[gateway] = branch
    return found


def files_at(git: ConfinedGit, commit: Commit, *, limit_s: float, below: str = "") -> dict[str, bytes]:
    """Read all files of a commit with two commands, or only those below a path."""
    paths = ("--", below) if below else ()
    listed = git.local("ls-tree", "-r", "-z", "--full-tree", commit, *paths, limit_s=limit_s)
    names = [_blob(line) for line in listed.split(b"\0") if line]
    asked = b"".join(blob + b"\n" for blob, _ in names)
    answer = git.local("cat-file", "--batch", limit_s=limit_s, data=asked) if names else b""
    files: dict[str, bytes] = {}
    at = 0
    for blob, path in names:
        end = answer.index(b"\n", at)
        head = answer[at:end].split()
        if head[:2] != [blob, b"blob"]:
            raise MirrorDamaged(f"cannot read {path} of commit {commit[:12]}")
        size = int(head[2])
        files[path] = answer[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return files


def versions_of(
    git: ConfinedGit, commit: Commit, path: str, *, limit: int, limit_s: float
) -> list[tuple[datetime, bytes]]:
    """Read the latest versions of one file, newest first, each with the time of its commit."""
    arguments = ("log", f"--max-count={limit}", "--format=%H %ct", commit, "--", path)
    lines = [line.split() for line in git.local(*arguments, limit_s=limit_s).decode().splitlines()]
    asked = "".join(f"{version}:{path}\n" for version, _ in lines).encode()
    answer = git.local("cat-file", "--batch", limit_s=limit_s, data=asked) if lines else b""
    found = []
    at = 0
    for _, seconds in lines:
        end = answer.index(b"\n", at)
        head = answer[at:end].split()
        if head[1] != b"blob":  # this commit deleted it
            at = end + 1
            continue
        size = int(head[2])
        found.append((datetime.fromtimestamp(int(seconds), UTC), answer[end + 1 : end + 1 + size]))
        at = end + 1 + size + 1
    return found


def _blob(line: bytes) -> tuple[bytes, str]:
    facts, _, path = line.partition(b"\t")
    return facts.split()[2], path.decode("utf-8", "surrogateescape")
