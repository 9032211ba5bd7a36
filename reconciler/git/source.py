# SPDX-License-Identifier: Apache-2.0
"""Decides which commit to enforce: a new one, the same one, or the last good one and why it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import FleetError, Transient
from reconciler.git.automation import AutomatedCommits
from reconciler.git.commit_tree import CommitTree
from reconciler.git.errors import MirrorDamaged, NotApproved
from reconciler.git.mirror import APPLIED, Mirror
from reconciler.git.signatures import CommitSigner, CommitVerifier, SignaturePolicy
from reconciler.model import Commit


@dataclass(frozen=True, slots=True)
class Advanced:
    """There is a new commit, and the policy allows it."""

    commit: Commit
    base: Commit | None
    new: tuple[Commit, ...]  # parents first, `commit` last; empty if `commit` is the anchor
    signers: tuple[CommitSigner, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The remote still has the applied commit."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Kept:
    """The last good commit stays in force, for this reason."""

    commit: Commit | None  # None: there is no good commit yet
    candidate: Commit | None  # what the remote offered, if known
    reason: str
    message: str
    transient: bool


# In each case, `commit` is the commit to enforce.
PollResult = Advanced | Unchanged | Kept


class CommitSource:
    """One fleet repository under one policy. Not thread-safe.

    Without `automated`, no commit of a gateway counts, even if the policy knows its key.
    """

    def __init__(
        self,
        mirror: Mirror,
        policy: SignaturePolicy,
        state: Path,
        sub_path: str = "",
        *,
        automated: AutomatedCommits | None = None,
    ) -> None:
        self._mirror = mirror
        self._verifier = CommitVerifier(policy, state)
        self._sub_path = sub_path
        self._automated = automated
        self._refusals: dict[tuple[Commit | None, Commit, str], FleetError] = {}
        self._rejected: tuple[Commit, FleetError] | None = None

    def poll(self, last_applied: Commit | None) -> PollResult:
        """Check what the remote offers. Any failure is returned as `Kept`, not raised."""
        candidate: Commit | None = None
        base = last_applied
        try:
            base = self._base(last_applied)
            candidate = self._mirror.tip()
            return self._evaluate(base, candidate)
        except MirrorDamaged as damage:
            return self._rebuild(base, damage)
        except FleetError as failure:
            return _kept(last_applied or base, candidate, failure)

    def reject(self, commit: Commit, because: FleetError) -> None:
        """Keep the applied commit until the remote moves on from this one, which failed to load."""
        self._rejected = (commit, because)

    def accept(self, commit: Commit) -> None:
        """Trust this commit by an operator's decision, though it does not descend from the last applied one."""
        self._mirror.pin(commit)
        self._refusals.clear()

    def tree(self, commit: Commit) -> CommitTree:
        """Open the files of the fleet at a commit. Close the returned tree."""
        return self._mirror.tree(commit, self._sub_path)

    def _base(self, last_applied: Commit | None) -> Commit | None:
        # Losing the state database must not allow a rewritten history, so the mirror records the commit too.
        if last_applied is None:
            return self._mirror.resolve(APPLIED)
        if self._mirror.has(last_applied):
            self._mirror.pin(last_applied)
        return last_applied

    def _evaluate(self, base: Commit | None, tip: Commit) -> PollResult:
        if tip == base and self._mirror.has(tip):
            return Unchanged(tip)
        if self._rejected is not None and self._rejected[0] == tip:
            raise self._rejected[1]
        known = (base, tip, self._verifier.fingerprint())
        if known in self._refusals:
            raise self._refusals[known]
        # The remote may move between `tip` and `fetch`; the fetched commit counts.
        head = tip if self._mirror.has(tip) else self._mirror.fetch()
        try:
            return self._allowed(base, head)
        except FleetError as failure:
            if not isinstance(failure, Transient):
                # The same base, head and policy give the same answer, so it is not computed again.
                self._refusals = {(base, head, known[2]): failure}
            raise

    def _allowed(self, base: Commit | None, head: Commit) -> PollResult:
        trusted = base or self._verifier.policy.anchor
        new = self._mirror.new_commits(trusted, head)
        if head == base:
            return Unchanged(head)
        signers = self._verifier.verify(self._mirror.git, new, limit_s=self._mirror.limits.verify_s)
        self._check_automated(signers, trusted)
        self._mirror.repack_if_due()
        return Advanced(head, base, new, signers)

    def _check_automated(self, signers: tuple[CommitSigner, ...], trusted: Commit | None) -> None:
        if self._automated is not None:
            self._automated.check(signers, trusted)
        elif any(signer.automated for signer in signers):
            raise NotApproved("a new commit is signed by a gateway, and nothing here can check its scope")

    def _rebuild(self, base: Commit | None, damage: MirrorDamaged) -> PollResult:
        try:
            self._mirror.rebuild(base)
            return self._evaluate(base, self._mirror.tip())
        except FleetError as failure:
            still_damaged = MirrorDamaged(f"{damage}; rebuilding failed: {failure}", retry_after_s=30.0)
            return _kept(base, None, still_damaged if isinstance(failure, Transient) else failure)


def _kept(commit: Commit | None, candidate: Commit | None, failure: FleetError) -> Kept:
    return Kept(commit, candidate, failure.reason, str(failure), isinstance(failure, Transient))
