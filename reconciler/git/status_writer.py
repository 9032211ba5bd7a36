# SPDX-License-Identifier: Apache-2.0
"""The branch `status/<gateway>`: what a gateway says of itself, as commits in the fleet's repository.

Level-triggered like everything else: `publish` is given what should be there, and makes one commit only if that
is not there yet. What can't be pushed is kept here and pushed later; what others pushed to the branch meanwhile
is never merged, our state is put on top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from reconciler.errors import FleetError, Transient
from reconciler.git import errors
from reconciler.git.commit_writer import CommitAuthor, CommitFiles, CommitMessage, check_paths, files_of, make_commit, make_tree
from reconciler.git.confined_git import GitResult
from reconciler.git.error_messages import meaning
from reconciler.git.mirror import Mirror
from reconciler.git.remote import GitLimits, Remote, branch_ref
from reconciler.git.transport import server_program
from reconciler.model import Commit
from reconciler.tree import blob_id

_OURS = "refs/tinyfleet/status"
_THEIRS = "refs/tinyfleet/status-remote"
_NUMBER = re.compile(rb"^Commits-Since-Start: (\d{1,9})$", re.MULTILINE)
_ATTEMPTS = 6
# Git's words for "somebody else was quicker".
_CONTENDED = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|failed to (?:update|lock)|incorrect old value"
    r"|reference already exists|needs force"
)


@dataclass(frozen=True, slots=True)
class InPlace:
    """The remote has what it should have; nothing was done."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Pushed:
    """The remote has it now."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Waiting:
    """It is kept here until it can be pushed."""

    commit: Commit | None  # None: not even written here
    reason: str
    message: str
    transient: bool


Publication = InPlace | Pushed | Waiting


class StatusWriter:
    """Writes one gateway's status. It has a small mirror of its own at `path`. Close it; for one thread."""

    def __init__(
        self, path: Path, remote: Remote, gateway: str, author: CommitAuthor, *, limits: GitLimits | None = None
    ) -> None:
        self.ref = branch_ref(f"status/{gateway}")
        self._author = author
        self._mirror = Mirror(path, replace(remote, ref=self.ref), limits)
        self._had = CommitFiles(None, {})
        self._in_place: tuple[dict[str, str], Commit] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes that read for us."""
        self._mirror.close()

    def publish(self, files: Mapping[str, bytes], message: CommitMessage) -> Publication:
        """Have the branch hold exactly these files. Whatever goes wrong out there is a `Waiting`, not an exception."""
        check_paths(files)
        wanted = {path: blob_id(data) for path, data in files.items()}
        if self._in_place is not None and self._in_place[0] == wanted:
            return InPlace(self._in_place[1])
        try:
            return self._publish(wanted, files, message)
        except errors.MirrorDamaged:
            # All that it held is either on the remote or in `files`.
            self._mirror.start_anew()
        except FleetError as failure:
            return _waiting(None, failure)
        try:
            return self._publish(wanted, files, message)
        except FleetError as failure:
            return _waiting(None, failure)

    def _publish(self, wanted: dict[str, str], files: Mapping[str, bytes], message: CommitMessage) -> Publication:
        ours = self._mirror.resolve(_OURS)
        if ours is None:
            ours = self._start()
        if self._had.commit is None or self._had.commit != ours:
            self._had = files_of(self._mirror.git, ours)
        if ours is None or self._had.blobs != wanted:
            with self._mirror.exclusive():
                tree = make_tree(self._mirror.git, self._had, wanted, files)
                ours = self._commit(tree, ours, message)
            self._had = CommitFiles(ours, wanted)
        try:
            done = self._push(ours, message)
        except FleetError as failure:
            return _waiting(ours, failure)
        self._in_place = (wanted, done.commit)
        self._had = CommitFiles(done.commit, wanted)
        self._mirror.tidy()
        return done

    def _start(self) -> Commit | None:
        """Without a memory of our own, go on from what the remote has; if it is away, that is settled at the push."""
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
        """Commit on top of `parent`; a full history starts again from a commit without one. Hold the mirror."""
        git = self._mirror.git
        if number is None:
            number = 1 + (self._number(parent) if parent else 0)
            if number > self._mirror.limits.status_commits:
                parent, number = None, 1
        text = f"{message.text.strip()}\n\nCommits-Since-Start: {number}\n"
        made = make_commit(git, tree, parent, self._author, replace(message, text=text))
        git.local("update-ref", _OURS, made, limit_s=self._mirror.limits.local_s)
        return made

    def _number(self, commit: Commit) -> int:
        raw = self._mirror.git.local("cat-file", "commit", commit, limit_s=self._mirror.limits.local_s)
        found = _NUMBER.search(raw.partition(b"\n\n")[2])
        return int(found[1]) if found else 0

    # ------------------------------------------------------------ the remote

    def _push(self, ours: Commit, message: CommitMessage) -> InPlace | Pushed:
        """Push until the remote has our files."""
        theirs = self._mirror.resolve(_THEIRS)
        for _ in range(_ATTEMPTS):
            if theirs == ours:
                return InPlace(ours)
            result = self._try(ours, theirs)
            if result.status == 0:
                self._note(ours)
                return Pushed(ours)
            if _CONTENDED.search(result.out.decode("utf-8", "replace") + result.err) is None:
                raise self._refusal(result)
            theirs = self._fetch()
            ours = self._put_on(theirs, ours, message)
        raise errors.StatusContended(f"{self.ref} was moved by others {_ATTEMPTS} times while we pushed")

    def _try(self, ours: Commit, theirs: Commit | None) -> GitResult:
        # The lease makes it compare-and-swap: only over what we know, or over nothing.
        lease = f"--force-with-lease={self.ref}:{theirs or ''}"
        server = server_program(self._mirror.remote, "receive-pack")
        words = ("push", "--porcelain", "--no-verify", "--no-signed", lease, *server, "--", self._mirror.remote.url)
        return self._mirror.network(*words, f"{ours}:{self.ref}", limit_s=self._mirror.limits.transfer_s)

    def _refusal(self, result: GitResult) -> FleetError:
        said = result.out.decode("utf-8", "replace")
        if "rejected]" in said:
            line = next(line for line in said.splitlines() if "rejected]" in line)
            return errors.StatusRefused(f"the remote does not take {self.ref}: {line.rpartition('	')[2]}")
        return meaning(result, f"pushing {self.ref}", limit_s=self._mirror.limits.transfer_s)

    def _fetch(self) -> Commit | None:
        """Learn what the remote's branch is at, if it is there."""
        try:
            self._mirror.transfer("--depth=1", refspec=f"+{self.ref}:{_THEIRS}")
        except errors.RefMissing:
            with self._mirror.exclusive():
                self._mirror.git.local("update-ref", "-d", _THEIRS, limit_s=self._mirror.limits.local_s)
            return None
        return self._mirror.resolve(_THEIRS)

    def _put_on(self, theirs: Commit | None, ours: Commit, message: CommitMessage) -> Commit:
        """Put our files on top of what others pushed; the same files need no commit."""
        tree, root = self._tree(ours), not self._has_parent(ours)
        with self._mirror.exclusive():
            if theirs is not None and self._tree(theirs) == tree:
                self._mirror.git.local("update-ref", _OURS, theirs, limit_s=self._mirror.limits.local_s)
                return theirs
            # A remote that takes no rewritten branch keeps the old history: count anew, or each push would try again.
            number = 1 if root and theirs is not None else None
            return self._commit(tree, theirs, message, number=number)

    def _note(self, pushed: Commit) -> None:
        with self._mirror.exclusive():
            self._mirror.git.local("update-ref", _THEIRS, pushed, limit_s=self._mirror.limits.local_s)

    def _tree(self, commit: Commit) -> str:
        words = ("rev-parse", "--verify", f"{commit}^{{tree}}")
        return self._mirror.git.local(*words, limit_s=self._mirror.limits.local_s).decode("ascii").strip()

    def _has_parent(self, commit: Commit) -> bool:
        raw = self._mirror.git.local("cat-file", "commit", commit, limit_s=self._mirror.limits.local_s)
        return b"\nparent " in raw.partition(b"\n\n")[0]


def _waiting(commit: Commit | None, failure: FleetError) -> Waiting:
    return Waiting(commit, failure.reason, str(failure), isinstance(failure, Transient))
