# SPDX-License-Identifier: Apache-2.0
"""Limits what a commit counts for that a gateway made and signed on its own (docs/git.md).

Such a commit counts only if it changes a few ordinary files, if what it changes is in the gateway's scope, and
if a person has signed a commit on top of it. The scope is a question about the values in the trees, which this
package cannot load: it is handed in as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.git.commit_tree import CommitTree
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.errors import HistoryTooLong, MirrorDamaged, NotApproved, OutOfScope
from reconciler.git.remote_settings import GitLimits
from reconciler.git.signatures import MAX_AUTOMATED, CommitSigner
from reconciler.model import Commit
from reconciler.tree import FILE, REGULAR

MAX_FILE_BYTES = 1 << 20
MAX_FILES = 16
_ABSENT = 0
_ADDED, _MODIFIED = "A", "M"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """An ordinary file that a commit adds or changes."""

    path: str  # inside the folder of the fleet
    added: bool


@dataclass(frozen=True, slots=True)
class AutomatedChange:
    """What one commit changes, and the gateway whose key signed it. The trees are open only during the call."""

    gateway: str
    files: tuple[ChangedFile, ...]
    before: CommitTree
    after: CommitTree


@dataclass(frozen=True, slots=True)
class ScopeDecision:
    """Whether a change is in its gateway's scope, and whether the fleet lets it count without a person."""

    refusal: str | None  # None: in scope
    direct: bool = False


DecideScope = Callable[[AutomatedChange], ScopeDecision]


class CommitStore(Protocol):
    """Where commits are read from: the mirror of a gateway, or a clone."""

    limits: GitLimits

    @property
    def git(self) -> ConfinedGit:
        """Return a runner for this repository."""

    def tree(self, commit: Commit, sub_path: str = "") -> CommitTree:
        """Open the files below a folder at a commit. The caller closes the tree."""


class AutomatedCommits:
    """Checks the commits of gateways among the new ones. `direct` is the gateway's own switch."""

    def __init__(self, store: CommitStore, decide: DecideScope, sub_path: str = "", *, direct: bool = False) -> None:
        self._store = store
        self._decide = decide
        self._sub_path = sub_path
        self._direct = direct

    def check(self, signers: Sequence[CommitSigner], base: Commit | None) -> None:
        """Raise for the oldest commit that does not count. `signers` lists parents first, and the head last."""
        automated = [at for at, signer in enumerate(signers) if signer.automated]
        if not automated:
            return
        if base is None:
            raise NotApproved(
                f"commit {signers[-1].commit[:12]} is signed by a gateway: what is enforced first, before any "
                "commit was applied, must be signed by a person, or come after the configured anchor"
            )
        if len(automated) > MAX_AUTOMATED:
            raise HistoryTooLong(f"more than {MAX_AUTOMATED} new commits by gateways")
        # Where two lines of history meet, there is a merge, which only a person can sign. So any later commit of a
        # person has this one below it, or a merge of both is later still.
        last_person = max((at for at, signer in enumerate(signers) if not signer.automated), default=-1)
        for at in automated:
            decision = self._scope(signers[at])
            if at > last_person and not (decision.direct and self._direct):
                raise NotApproved(_not_approved(signers[at], decision, here=self._direct))

    def check_scope(self, signer: CommitSigner) -> None:
        """Raise if one commit of a gateway is outside its scope, whether or not a person has signed on top of it."""
        self._scope(signer)

    def _scope(self, signer: CommitSigner) -> ScopeDecision:
        gateway = signer.name.rpartition("@")[2]
        parent = _only_parent(self._store.git, signer, limit_s=self._store.limits.local_s)
        files = self._files(signer, parent)
        with (
            self._store.tree(parent, self._sub_path) as before,
            self._store.tree(signer.commit, self._sub_path) as after,
        ):
            decision = self._decide(AutomatedChange(gateway, files, before, after))
        if decision.refusal is not None:
            raise _outside(signer, decision.refusal)
        return decision

    def _files(self, signer: CommitSigner, parent: Commit) -> tuple[ChangedFile, ...]:
        git, limit_s = self._store.git, self._store.limits.local_s
        arguments = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", parent, signer.commit)
        fields = git.local(*arguments, limit_s=limit_s).split(b"\0")
        changes = list(zip(fields[:-1:2], fields[1::2], strict=True))
        if not 0 < len(changes) <= MAX_FILES:
            raise _outside(signer, f"it changes {len(changes)} files; at least 1 and at most {MAX_FILES} are allowed")
        found = [self._file(signer, facts, path.decode("utf-8", "backslashreplace")) for facts, path in changes]
        blobs = [facts.split()[3] for facts, _ in changes]
        for file, size in zip(found, _sizes(git, blobs, limit_s=limit_s), strict=True):
            if size > MAX_FILE_BYTES:
                raise _outside(signer, f"{file.path} has {size} bytes; at most {MAX_FILE_BYTES} are allowed")
        return tuple(found)

    def _file(self, signer: CommitSigner, facts: bytes, path: str) -> ChangedFile:
        old, new, status = (word.decode("ascii") for word in (*facts.lstrip(b":").split()[:2], facts.split()[-1]))
        modes = int(old, 8), int(new, 8)
        ordinary = {
            _ADDED: modes == (_ABSENT, FILE),
            _MODIFIED: modes[0] == modes[1] and modes[0] in REGULAR,
        }
        if not ordinary.get(status, False):
            raise _outside(signer, f"{path!r} is deleted, changes its mode, or is not an ordinary file")
        folder = f"{self._sub_path.strip('/')}/" if self._sub_path.strip("/") else ""
        if not path.startswith(folder):
            raise _outside(signer, f"{path!r} is outside the fleet's folder")
        return ChangedFile(path.removeprefix(folder), added=status == _ADDED)


def _only_parent(git: ConfinedGit, signer: CommitSigner, *, limit_s: float) -> Commit:
    raw = git.local("cat-file", "commit", signer.commit, limit_s=limit_s).partition(b"\n\n")[0]
    parents = [line.split()[1].decode("ascii") for line in raw.split(b"\n") if line.startswith(b"parent ")]
    if len(parents) != 1:
        raise _outside(signer, f"it has {len(parents)} parents; exactly one is allowed")
    return Commit(parents[0])


def _sizes(git: ConfinedGit, blobs: Sequence[bytes], *, limit_s: float) -> Iterator[int]:
    asked = b"".join(blob + b"\n" for blob in blobs)
    answer = git.local("cat-file", "--batch-check=%(objecttype) %(objectsize)", data=asked, limit_s=limit_s)
    for line in answer.splitlines():
        kind, _, size = line.partition(b" ")
        if kind != b"blob":
            raise MirrorDamaged("a file of a new commit is missing in the mirror")
        yield int(size)


def _outside(signer: CommitSigner, why: str) -> OutOfScope:
    return OutOfScope(f"commit {signer.commit[:12]} is signed by gateway {signer.name}, and outside its scope: {why}")


def _not_approved(signer: CommitSigner, decision: ScopeDecision, *, here: bool) -> str:
    missing = [
        *([] if decision.direct else ["its Contest does not say `propose: direct`"]),
        *([] if here else ["`[automation] direct` is not set here"]),
    ]
    return (
        f"commit {signer.commit[:12]} by gateway {signer.name} is in scope, but no person has signed a commit on top "
        f"of it, and it does not count without one: {' and '.join(missing)}"
    )
