# SPDX-License-Identifier: Apache-2.0
"""Publishes a gateway's status as commits on the branch `status/<gateway>` of the fleet repository.

Level-triggered: `publish` takes the complete desired content and creates a commit only if the branch
differs. A commit that cannot be pushed is kept and pushed later. If others pushed to the branch, nothing
is merged: our files are committed on top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from reconciler.errors import FleetError, Transient
from reconciler.foreign_text import printable
from reconciler.git import errors
from reconciler.git.commit_writer import (
    CommitAuthor,
    CommitFiles,
    CommitMessage,
    check_path,
    files_of,
    make_commit,
    make_tree,
)
from reconciler.git.confined_git import GitResult
from reconciler.git.error_messages import failure_of
from reconciler.git.mirror import Mirror
from reconciler.git.remote_settings import GitLimits, Remote, branch_ref
from reconciler.git.transport import server_program
from reconciler.model import Commit
from reconciler.tree import blob_id

_OURS = "refs/tinyfleet/status"
_THEIRS = "refs/tinyfleet/status-remote"
_NUMBER = re.compile(rb"^Commits-Since-Start: (\d{1,9})$", re.MULTILINE)
_ATTEMPTS = 6
# The messages with which git reports that the ref has moved meanwhile.
_CONTENDED = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to (?:update|lock)|incorrect old value"
    r"|reference already exists|needs force"
)


@dataclass(frozen=True, slots=True)
class AlreadyPublished:
    """The remote already has this content."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Pushed:
    """The commit was pushed."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class PushPending:
    """The commit is kept in the mirror until it can be pushed."""

    commit: Commit | None  # None: it could not be created
    reason: str
    message: str
    transient: bool


Publication = AlreadyPublished | Pushed | PushPending


class StatusWriter:
    """Writes the status of one gateway, through a separate small mirror at `path`. Close it. Not thread-safe."""

    def __init__(
        self, path: Path, remote: Remote, gateway: str, author: CommitAuthor, *, limits: GitLimits | None = None
    ) -> None:
        self.ref = branch_ref(f"status/{gateway}")
        self._author = author
        self._mirror = Mirror(path, replace(remote, ref=self.ref), limits)
        self._previous = CommitFiles(None, {})
        self._hashed: dict[str, tuple[bytes, str]] = {}  # the last files by path, with their blob ids
        self._numbered: tuple[Commit, int] | None = None  # our last commit
        self._published: tuple[dict[str, str], Commit] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the `cat-file` processes."""
        self._mirror.close()

    def publish(self, files: Mapping[str, bytes], message: CommitMessage) -> Publication:
        """Make the branch contain exactly these files. Any failure is returned as `PushPending`, not raised."""
        wanted = self._blob_ids(files)
        if self._published is not None and self._published[0] == wanted:
            return AlreadyPublished(self._published[1])
        try:
            return self._publish(wanted, files, message)
        except errors.MirrorDamaged:
            # Everything in it is also on the remote or in `files`.
            self._mirror.discard()
        except FleetError as failure:
            return _pending(None, failure)
        try:
            return self._publish(wanted, files, message)
        except FleetError as failure:
            return _pending(None, failure)

    def _blob_ids(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """Check the paths and hash the files; those with the same bytes as the last time cost neither."""
        known, hashed = self._hashed, {}
        for path, data in files.items():
            before = known.get(path)
            if before is None:
                check_path(path)
            hashed[path] = before if before is not None and before[0] is data else (data, blob_id(data))
        self._hashed = hashed
        return {path: blob for path, (_, blob) in hashed.items()}

    def _publish(self, wanted: dict[str, str], files: Mapping[str, bytes], message: CommitMessage) -> Publication:
        ours = self._mirror.resolve(_OURS)
        if ours is None:
            ours = self._start()
        if self._previous.commit is None or self._previous.commit != ours:
            self._previous = files_of(self._mirror.git, ours)
        if ours is None or self._previous.blobs != wanted:
            with self._mirror.exclusive():
                tree = make_tree(self._mirror.git, self._previous, wanted, files)
                ours = self._commit(tree, ours, message)
            self._previous = CommitFiles(ours, wanted)
        try:
            done = self._push(ours, message)
        except FleetError as failure:
            return _pending(ours, failure)
        self._published = (wanted, done.commit)
        self._previous = CommitFiles(done.commit, wanted)
        self._mirror.repack_if_due()
        return done

    def _start(self) -> Commit | None:
        """Without local history, continue from the remote's branch. If it is unreachable, the push resolves this."""
        try:
            theirs = self._fetch()
        except errors.MirrorDamaged:
            raise
        except FleetError:
            return None
        if theirs is not None:
            with self._mirror.exclusive():
                self._mirror.git.local("update-ref", _OURS, theirs, limit_s=self._mirror.limits.local_s)
        return theirs

    def _commit(self, tree: str, parent: Commit | None, message: CommitMessage, *, number: int | None = None) -> Commit:
        """Commit on top of `parent`, or without a parent once the history is full. The caller holds the mirror."""
        git = self._mirror.git
        if number is None:
            number = 1 + (self._number(parent) if parent else 0)
            if number > self._mirror.limits.status_commits:
                parent, number = None, 1
        text = f"{message.text.strip()}\n\nCommits-Since-Start: {number}\n"
        commit = make_commit(git, tree, parent, self._author, replace(message, text=text))
        self._numbered = (commit, number)
        git.local("update-ref", _OURS, commit, limit_s=self._mirror.limits.local_s)
        return commit

    def _number(self, commit: Commit) -> int:
        """Return the number of a commit since the history was started."""
        if self._numbered is not None and self._numbered[0] == commit:
            return self._numbered[1]
        raw = self._mirror.git.local("cat-file", "commit", commit, limit_s=self._mirror.limits.local_s)
        found = _NUMBER.search(raw.partition(b"\n\n")[2])
        return int(found[1]) if found else 0

    # ------------------------------------------------------------ the remote

    def _push(self, ours: Commit, message: CommitMessage) -> AlreadyPublished | Pushed:
        """Push, again if others were faster, until the remote has our files."""
        theirs = self._mirror.resolve(_THEIRS)
        for _ in range(_ATTEMPTS):
            if theirs == ours:
                return AlreadyPublished(ours)
            result = self._try(ours, theirs)
            if result.status == 0:
                self._record(ours)
                return Pushed(ours)
            if _CONTENDED.search(result.out.decode("utf-8", "replace") + result.err) is None:
                raise self._refusal(result)
            theirs = self._fetch()
            ours = self._commit_on_top(theirs, ours, message)
        raise errors.StatusContended(f"others pushed to {self.ref} during each of {_ATTEMPTS} attempts")

    def _try(self, ours: Commit, theirs: Commit | None) -> GitResult:
        # The lease makes it a compare-and-swap: it replaces only the commit that we know, or no commit.
        lease = f"--force-with-lease={self.ref}:{theirs or ''}"
        server = server_program(self._mirror.remote, "receive-pack")
        arguments = ("push", "--porcelain", "--no-verify", "--no-signed", lease, *server, "--", self._mirror.remote.url)
        return self._mirror.network(*arguments, f"{ours}:{self.ref}", limit_s=self._mirror.limits.transfer_s)

    def _refusal(self, result: GitResult) -> FleetError:
        output = printable(result.out.decode("utf-8", "replace"))
        if "rejected]" in output:
            line = next(line for line in output.splitlines() if "rejected]" in line)
            return errors.StatusRefused(f"the remote refused {self.ref}: {line.rpartition('	')[2]}")
        return failure_of(result, f"pushing {self.ref}", limit_s=self._mirror.limits.transfer_s)

    def _fetch(self) -> Commit | None:
        """Fetch the remote's branch and return its commit, if it exists."""
        try:
            self._mirror.transfer("--depth=1", refspec=f"+{self.ref}:{_THEIRS}")
        except errors.RefMissing:
            with self._mirror.exclusive():
                self._mirror.git.local("update-ref", "-d", _THEIRS, limit_s=self._mirror.limits.local_s)
            return None
        return self._mirror.resolve(_THEIRS)

    def _commit_on_top(self, theirs: Commit | None, ours: Commit, message: CommitMessage) -> Commit:
        """Commit our files on top of what others pushed, unless the content is the same."""
        tree, root = self._tree(ours), not self._has_parent(ours)
        with self._mirror.exclusive():
            if theirs is not None and self._tree(theirs) == tree:
                self._mirror.git.local("update-ref", _OURS, theirs, limit_s=self._mirror.limits.local_s)
                return theirs
            # The remote refused the restarted history, so continue the old one with a new count: otherwise each
            # push would try to restart it.
            number = 1 if root and theirs is not None else None
            return self._commit(tree, theirs, message, number=number)

    def _record(self, pushed: Commit) -> None:
        with self._mirror.exclusive():
            self._mirror.git.local("update-ref", _THEIRS, pushed, limit_s=self._mirror.limits.local_s)

    def _tree(self, commit: Commit) -> str:
        arguments = ("rev-parse", "--verify", f"{commit}^{{tree}}")
        return self._mirror.git.local(*arguments, limit_s=self._mirror.limits.local_s).decode("ascii").strip()

    def _has_parent(self, commit: Commit) -> bool:
        raw = self._mirror.git.local("cat-file", "commit", commit, limit_s=self._mirror.limits.local_s)
        return b"\nparent " in raw.partition(b"\n\n")[0]


def _pending(commit: Commit | None, failure: FleetError) -> PushPending:
    return PushPending(commit, failure.reason, str(failure), isinstance(failure, Transient))
