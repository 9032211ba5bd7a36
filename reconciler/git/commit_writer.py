# SPDX-License-Identifier: Apache-2.0
"""Creates commits without a work tree, from a mapping of paths to bytes, and signs them if there is a key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.git.confined_git import ConfinedGit, last_line, plain_path
from reconciler.git.errors import MirrorDamaged, SettingsUnsafe, SignersUnreadable
from reconciler.model import Commit

_FILE = "100644"
_SCRATCH = "refs/tinyfleet/scratch"
_ROOT = re.compile(rb"040000 tree ([0-9a-f]+)\t\n")  # what `ls` of fast-import prints for the root
_UNSAFE_IN_NAMES = set("<>\n\0")


@dataclass(frozen=True, slots=True)
class CommitAuthor:
    """The author of a gateway's commits, and the SSH key that signs them."""

    name: str
    email: str
    signing_key: Path | None = (
        None  # a private key without a passphrase, or a public key whose private half an agent holds
    )

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.email.strip() or _UNSAFE_IN_NAMES & set(self.name + self.email):
            raise SettingsUnsafe("a commit author needs a name and an email address, without <, > or line breaks")


@dataclass(frozen=True, slots=True)
class CommitMessage:
    """The message and the time of a commit."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CommitFiles:
    """The blob id of each path in a commit. `commit` is None before the first one."""

    commit: Commit | None
    blobs: Mapping[str, str]


def make_tree(git: ConfinedGit, old: CommitFiles, wanted: Mapping[str, str], files: Mapping[str, bytes]) -> str:
    """Write a tree with exactly the files `wanted` (path to blob id) and return its id.

    One `fast-import` process handles any number of files, and receives only what differs from `old`. It leaves a
    scratch ref behind, which the next call replaces.
    """
    stream = b"".join(_stream(old, wanted, files))
    listed = git.local("fast-import", "--quiet", "--force", data=stream, limit_s=120)
    found = _ROOT.fullmatch(listed)
    if found is None:
        raise MirrorDamaged("git fast-import did not name the tree that it wrote")
    return found[1].decode("ascii")


def make_commit(
    git: ConfinedGit, tree: str, parent: Commit | None, author: CommitAuthor, message: CommitMessage
) -> Commit:
    """Write a commit with this tree and return its id."""
    when = f"{int(message.at.timestamp())} +0000"
    env = {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_AUTHOR_DATE": when,
        "GIT_COMMITTER_NAME": author.name,
        "GIT_COMMITTER_EMAIL": author.email,
        "GIT_COMMITTER_DATE": when,
    }
    words = ("commit-tree", tree, *(("-p", parent) if parent else ()))
    data = message.text.encode()
    if author.signing_key is None:
        return Commit(git.local(*words, data=data, env=env, limit_s=60).decode("ascii").strip())
    runner = git.with_config((("gpg.format", "ssh"), ("user.signingKey", str(author.signing_key))))
    made = runner.step(*words, "-S", data=data, env=env, limit_s=60)
    if made.status != 0:
        raise SignersUnreadable(f"cannot sign with {author.signing_key}: {last_line(made.err)}")
    return Commit(made.out.decode("ascii").strip())


def files_of(git: ConfinedGit, commit: Commit | None) -> CommitFiles:
    """List the files of a commit."""
    if commit is None:
        return CommitFiles(None, {})
    listed = git.local("ls-tree", "-r", "-z", "--full-tree", commit, limit_s=60)
    found = {}
    for line in listed.split(b"\0"):
        facts, _, path = line.partition(b"\t")
        if facts:
            mode, _, blob = facts.decode("ascii").split()
            # A symlink whose target equals the content of a file is not that file.
            found[path.decode("utf-8", "surrogateescape")] = blob if mode == _FILE else ""
    return CommitFiles(commit, found)


def check_path(path: str) -> None:
    """Refuse a path that must not appear in a tree."""
    if not path or plain_path(path) != path:
        raise SettingsUnsafe(f"{path!r} is not a valid path for a status file")


def _stream(old: CommitFiles, wanted: Mapping[str, str], files: Mapping[str, bytes]) -> Iterator[bytes]:
    yield b"feature done\ncommit %s\ncommitter t <t> 0 +0000\ndata 0\n" % _SCRATCH.encode()
    if old.commit is not None:
        yield b"from %s\n" % old.commit.encode("ascii")
    # Deletions first: a folder may replace a file of the same name.
    for path in old.blobs.keys() - wanted.keys():
        yield b"D %s\n" % _quoted(path)
    for path, blob in wanted.items():
        if old.blobs.get(path) != blob:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (_quoted(path), len(files[path]), files[path])
    yield b'ls ""\ndone\n'


def _quoted(path: str) -> bytes:
    """Quote a path, so that it cannot be read as a command. Contents have a length prefix, so neither can they."""
    escaped = path.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + escaped.replace(b"\n", b"\\n") + b'"'
