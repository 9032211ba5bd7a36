# SPDX-License-Identifier: Apache-2.0
"""Applies a gateway's signature policy to a change before it is merged, and lists every commit that violates it.

A gateway stops at the first violation. For a review, all of them are of interest, and a commit that a gateway
proposes may still wait for the person who merges it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reconciler.errors import FleetError
from reconciler.git.confined_git import ConfinedGit
from reconciler.git.errors import HistoryRewritten, HistoryTooLong
from reconciler.git.new_commits import MoreHistoryNeeded, new_commits
from reconciler.git.signatures import CommitSigner, CommitVerifier, SignatureMode
from reconciler.model import Commit

COMMITS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ReviewedCommit:
    """One commit: who signed it, or why a gateway would refuse it."""

    commit: Commit
    signer: CommitSigner | None
    refusal: FleetError | None = None


def commits_of_change(git: ConfinedGit, base: Commit, head: Commit, *, limit_s: float) -> tuple[Commit, ...]:
    """Return the commits that merging `head` into `base` would add, parents first."""
    found = git.step("merge-base", base, head, limit_s=limit_s)
    if found.status != 0:
        raise HistoryRewritten(
            f"{head[:12]} and {base[:12]} have no common history in this clone; if it is shallow, fetch the rest"
        )
    fork = Commit(found.out.split()[0].decode("ascii"))
    try:
        new = new_commits(git, fork, head, limit_s=limit_s, limit=COMMITS_MAX)
    except MoreHistoryNeeded as shallow:
        raise HistoryTooLong("this clone is shallow and lacks new commits: fetch the whole history") from shallow
    if len(new) > COMMITS_MAX:
        raise HistoryTooLong(f"more than {COMMITS_MAX} new commits")
    return new


def review_signatures(
    git: ConfinedGit,
    verifier: CommitVerifier,
    new: Sequence[Commit],
    check_scope: Callable[[CommitSigner], None],
    *,
    limit_s: float,
) -> tuple[ReviewedCommit, ...]:
    """Verify new commits, parents first; in mode `head`, those that the head does not vouch for are left out."""
    try:
        signers = verifier.verify(git, new, limit_s=limit_s)
    except FleetError as refusal:
        if verifier.policy.mode is SignatureMode.HEAD:
            return (ReviewedCommit(new[-1], None, refusal),)
        if len(new) > 1:
            each = (review_signatures(git, verifier, (commit,), check_scope, limit_s=limit_s) for commit in new)
            return tuple(reviewed for group in each for reviewed in group)
        return (ReviewedCommit(new[0], None, refusal),)
    return tuple(_in_scope(signer, check_scope) for signer in signers)


def _in_scope(signer: CommitSigner, check_scope: Callable[[CommitSigner], None]) -> ReviewedCommit:
    try:
        if signer.automated:
            check_scope(signer)
    except FleetError as refusal:
        return ReviewedCommit(signer.commit, signer, refusal)
    return ReviewedCommit(signer.commit, signer)
