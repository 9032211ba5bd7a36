# SPDX-License-Identifier: Apache-2.0
"""The status of one rollout: its conditions, its waves, and what this gateway reports about its own devices."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import BuildFailure, RolloutId, RolloutReport
from reconciler.report.conditions import Condition, Conditions, Status, carry_over, ready
from reconciler.report.device_status import PassStamp

PRIORITY = ("WithinBudget", "Built", "Complete")


@dataclass(frozen=True, slots=True)
class WaveFacts:
    """The progress of one wave across all gateways, as far as this one knows."""

    name: str
    devices: int
    done: int
    at_risk: int
    due: int
    failed: int
    missing: int
    open: bool


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """The results of a pass for one rollout."""

    rollout: RolloutId
    model: str
    report: RolloutReport  # about this gateway's own devices
    waves: tuple[WaveFacts, ...]
    complete: bool
    waiting: str = ""  # what the next wave waits for
    held: str = ""  # why all its devices are held: it is suspended, or depends on another rollout
    rolled_back: bool = False
    build_failure: BuildFailure | None = None  # why this gateway can't build its model


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """One rollout as its status file shows it."""

    facts: RolloutFacts
    conditions: Conditions

    @property
    def ready(self) -> Condition:
        """The summary condition."""
        return self.conditions[0]


def rollout_status(facts: RolloutFacts, stamp: PassStamp, previous: RolloutStatus | None) -> RolloutStatus:
    """Build the conditions of a rollout. The `since` of Complete is when it began to wait.

    What held for another revision, such as the version before, does not count: it is another rollout.
    """
    parts = (_within_budget(facts, stamp), _built(facts, stamp), _complete(facts, stamp))
    same = previous is not None and previous.facts.report.revision == facts.report.revision
    before = previous.conditions if previous is not None and same else ()
    kept = carry_over(parts, before)
    summary = carry_over((ready(kept, PRIORITY, when_true="All waves are complete."),), before)
    return RolloutStatus(facts, (*summary, *kept))


def _within_budget(facts: RolloutFacts, stamp: PassStamp) -> Condition:
    stopped = facts.report.stopped
    if not stopped:
        return _condition("WithinBudget", Status.TRUE, "WithinBudget", "The failure budget is not spent.", stamp)
    if facts.rolled_back:
        message = f"{stopped}; its devices return to what they ran before, until Git changes"
        return _condition("WithinBudget", Status.FALSE, "RolledBack", message, stamp)
    return _condition("WithinBudget", Status.FALSE, "FailureBudgetSpent", f"{stopped}, until Git changes", stamp)


def _built(facts: RolloutFacts, stamp: PassStamp) -> Condition:
    failure = facts.build_failure
    if failure is None:
        return _condition("Built", Status.TRUE, "Built", "Nothing keeps this gateway from building its model.", stamp)
    return _condition("Built", Status.FALSE, failure.reason, failure.text, stamp)


def _complete(facts: RolloutFacts, stamp: PassStamp) -> Condition:
    if facts.complete:
        return _condition("Complete", Status.TRUE, "Complete", "All waves are complete.", stamp)
    if facts.held:
        return _condition("Complete", Status.FALSE, "Held", facts.held, stamp)
    return _condition(
        "Complete", Status.FALSE, "Progressing", facts.waiting or "none of its devices can have the model", stamp
    )


def _condition(kind: str, status: Status, reason: str, message: str, stamp: PassStamp) -> Condition:
    return Condition(kind, status, reason, message, stamp.now, stamp.commit)
