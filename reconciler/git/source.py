# SPDX-License-Identifier: Apache-2.0
"""What Git wants enforced: the new commit, the same as before, or the last good one and why it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import FleetError, Transient
from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import MirrorDamaged
from reconciler.git.mirror import APPLIED, Mirror
from reconciler.git.signatures import CommitSigner, CommitVerifier, SignaturePolicy
from reconciler.model import Commit


@dataclass(frozen=True, slots=True)
class Advanced:
    """There is a new commit, and it is allowed."""

    commit: Commit
    base: Commit | None
    new: tuple[Commit, ...]  # parents first, `commit` last; empty if it is the policy's anchor
    signers: tuple[CommitSigner, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The remote is where we are."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Kept:
    """The last good commit stays, for this reason."""

    commit: Commit | None  # None: there has never been a good one
    candidate: Commit | None  # what the remote offered, if we got so far
    reason: str
    message: str
    transient: bool


# Whatever it is, `commit` is what to enforce.
Outcome = Advanced | Unchanged | Kept


class CommitSource:
    """One fleet repository under one policy. For one thread."""

    def __init__(self, mirror: Mirror, policy: SignaturePolicy, state: Path, sub_path: str = "") -> None:
        self._mirror = mirror
        self._verifier = CommitVerifier(policy, state)
        self._sub_path = sub_path
        self._verdicts: dict[tuple[Commit | None, Commit, str], FleetError] = {}
        self._rejected: tuple[Commit, FleetError] | None = None

    def poll(self, last_applied: Commit | None) -> Outcome:
        """Look what the remote offers. Whatever goes wrong out there is a `Kept`, not an exception."""
        candidate: Commit | None = None
        base = last_applied
        try:
            base = self._base(last_applied)
            candidate = self._mirror.tip()
            return self._judge(base, candidate)
        except MirrorDamaged as damage:
            return self._rebuild(base, damage)
        except FleetError as failure:
            return _kept(last_applied or base, candidate, failure)

    def reject(self, commit: Commit, because: FleetError) -> None:
        """Keep what was applied until the remote moves on from a commit that turned out to be invalid."""
        self._rejected = (commit, because)

    def accept(self, commit: Commit) -> None:
        """Start from this commit, by a person's decision, though it does not descend from the last applied one."""
        self._mirror.pin(commit)
        self._verdicts.clear()

    def tree(self, commit: Commit) -> CommitTree:
        """Open the fleet's files at a commit. Close what is returned."""
        return self._mirror.tree(commit, self._sub_path)

    def _base(self, last_applied: Commit | None) -> Commit | None:
        # A lost state database must not open the door to a rewritten history: the mirror remembers too.
        if last_applied is None:
            return self._mirror.resolve(APPLIED)
        if self._mirror.has(last_applied):
            self._mirror.pin(last_applied)
        return last_applied

    def _judge(self, base: Commit | None, tip: Commit) -> Outcome:
        if tip == base and self._mirror.has(tip):
            return Unchanged(tip)
        if self._rejected is not None and self._rejected[0] == tip:
            raise self._rejected[1]
        known = (base, tip, self._verifier.fingerprint())
        if known in self._verdicts:
            raise self._verdicts[known]
        # The remote may move between the question and the fetch: what was fetched counts.
        head = tip if self._mirror.has(tip) else self._mirror.fetch()
        try:
            return self._allowed(base, head)
        except FleetError as failure:
            if not isinstance(failure, Transient):
                # Same base, same head, same policy: the same answer, without the work.
                self._verdicts = {(base, head, known[2]): failure}
            raise

    def _allowed(self, base: Commit | None, head: Commit) -> Outcome:
        new = self._mirror.new_commits(base or self._verifier.policy.anchor, head)
        if head == base:
            return Unchanged(head)
        signers = self._verifier.verify(self._mirror.git, new, limit_s=self._mirror.limits.verify_s)
        self._mirror.tidy()
        return Advanced(head, base, new, signers)

    def _rebuild(self, base: Commit | None, damage: MirrorDamaged) -> Outcome:
        try:
            self._mirror.rebuild(base)
            return self._judge(base, self._mirror.tip())
        except FleetError as failure:
            told = MirrorDamaged(f"{damage}; it could not be rebuilt: {failure}", retry_after_s=30.0)
            return _kept(base, None, told if isinstance(failure, Transient) else failure)


def _kept(commit: Commit | None, candidate: Commit | None, failure: FleetError) -> Kept:
    return Kept(commit, candidate, failure.reason, str(failure), isinstance(failure, Transient))
