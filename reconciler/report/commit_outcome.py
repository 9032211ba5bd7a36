# SPDX-License-Identifier: Apache-2.0
"""What became of a commit at this gateway, in one word and one sentence, for the status of the commit at a forge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from reconciler.report.rollout_status import RolloutStatus


class CommitState(StrEnum):
    """The states that all forges know, under the names of GitHub and Gitea."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CommitOutcome:
    """The outcome of one commit at one gateway."""

    commit: str
    state: CommitState
    description: str


def rejected_outcome(commit: str, problems: tuple[str, ...]) -> CommitOutcome:
    """Return the outcome of a commit that is not enforced, because it has mistakes."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return CommitOutcome(commit, CommitState.FAILURE, f"not enforced: {problems[0] if problems else 'invalid'}{more}")


def commit_outcome(commit: str, rollouts: Iterable[RolloutStatus]) -> CommitOutcome:
    """Return the outcome of the enforced commit: a failure of any rollout counts first, then what is not complete."""
    ordered = sorted(rollouts, key=lambda each: each.facts.rollout)
    for status in ordered:
        failure = status.facts.build_failure
        if status.facts.report.stopped or (failure is not None and not failure.retried):
            message = f"{status.facts.rollout}: {status.ready.reason}: {status.ready.message}"
            return CommitOutcome(commit, CommitState.FAILURE, message)
    open_rollouts = [each for each in ordered if not each.facts.complete]
    if open_rollouts:
        first = open_rollouts[0]
        more = f" (and {len(open_rollouts) - 1} more)" if len(open_rollouts) > 1 else ""
        message = f"{first.facts.rollout}: {first.ready.message}{more}"
        return CommitOutcome(commit, CommitState.PENDING, message)
    counted = f"{len(ordered)} rollout{'' if len(ordered) == 1 else 's'}"
    return CommitOutcome(commit, CommitState.SUCCESS, f"{counted} complete")
