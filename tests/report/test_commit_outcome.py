# SPDX-License-Identifier: Apache-2.0
"""The outcome of a commit at a gateway."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model import BuildFailure, RolloutId, RolloutReport
from reconciler.report.commit_outcome import CommitOutcome, CommitState, commit_outcome, rejected_outcome
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, rollout_status

COMMIT = "c" * 40
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def rollout(
    name: str, *, complete: bool = False, stopped: str = "", failure: BuildFailure | None = None
) -> RolloutStatus:
    report = RolloutReport("r1", stopped=stopped)
    facts = RolloutFacts(
        RolloutId(name), f"{name}@2", report, (), complete=complete, waiting="1 of 3", build_failure=failure
    )
    return rollout_status(facts, PassStamp(NOON, COMMIT), None)


def outcome(*rollouts: RolloutStatus) -> CommitOutcome:
    return commit_outcome(COMMIT, rollouts)


def test_complete_rollouts_are_a_success() -> None:
    assert outcome(rollout("a", complete=True)) == CommitOutcome(COMMIT, CommitState.SUCCESS, "1 rollout complete")
    assert outcome().state is CommitState.SUCCESS


def test_an_incomplete_rollout_is_pending_and_says_what_it_waits_for() -> None:
    found = outcome(rollout("c"), rollout("b"), rollout("a", complete=True))
    assert found == CommitOutcome(COMMIT, CommitState.PENDING, "b: 1 of 3 (and 1 more)")


def test_a_failure_counts_before_anything_else() -> None:
    stopped = outcome(rollout("a"), rollout("b", stopped="stopped: 1 failed, 0 allowed"))
    assert stopped.state is CommitState.FAILURE
    assert stopped.description.startswith("b: FailureBudgetSpent: stopped: 1 failed, 0 allowed")


def test_a_rejected_commit_is_a_failure_with_its_first_problem() -> None:
    found = rejected_outcome(COMMIT, ("a.yaml:1:1: unknown kind", "b.yaml:2:2: x"))
    assert found.state is CommitState.FAILURE
    assert found.description == "not enforced: a.yaml:1:1: unknown kind (and 1 more)"
