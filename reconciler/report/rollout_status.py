# SPDX-License-Identifier: Apache-2.0
"""What is true of one rollout: its conditions, its waves, and this gateway's word on its own devices."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import RolloutId, RolloutReport
from reconciler.report.conditions import Condition, Conditions, Status, carried, ready
from reconciler.report.device_status import PassStamp

PRIORITY = ("WithinBudget", "Complete")


@dataclass(frozen=True, slots=True)
class WaveFacts:
    """How one wave stands, over all gateways, as this one knows it."""

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
    """What a pass found out about one rollout."""

    rollout: RolloutId
    model: str
    word: RolloutReport
    waves: tuple[WaveFacts, ...]
    complete: bool
    waiting: str = ""  # for what it waits
    held: str = ""  # why none of its devices may be changed now: suspended, or after another
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """One rollout as its status file tells it."""

    facts: RolloutFacts
    conditions: Conditions

    @property
    def ready(self) -> Condition:
        """Return the summary condition."""
        return self.conditions[0]


def rollout_status(facts: RolloutFacts, moment: PassStamp, previous: RolloutStatus | None) -> RolloutStatus:
    """Build a rollout's conditions; `since` of Complete says since when it waits."""
    parts = (_within_budget(facts, moment), _complete(facts, moment))
    before = previous.conditions if previous is not None else ()
    kept = carried(parts, before)
    summary = carried((ready(kept, PRIORITY, when_true="All waves are over."),), before)
    return RolloutStatus(facts, (*summary, *kept))


def _within_budget(facts: RolloutFacts, moment: PassStamp) -> Condition:
    stopped = facts.word.stopped
    if not stopped:
        return _condition("WithinBudget", Status.TRUE, "WithinBudget", "The failure budget is not spent.", moment)
    if facts.rolled_back:
        words = f"{stopped}; its devices go back to what they ran before, until Git changes"
        return _condition("WithinBudget", Status.FALSE, "RolledBack", words, moment)
    return _condition("WithinBudget", Status.FALSE, "FailureBudgetSpent", f"{stopped}, until Git changes", moment)


def _complete(facts: RolloutFacts, moment: PassStamp) -> Condition:
    if facts.complete:
        return _condition("Complete", Status.TRUE, "Complete", "All waves are over.", moment)
    if facts.held:
        return _condition("Complete", Status.FALSE, "Held", facts.held, moment)
    return _condition(
        "Complete", Status.FALSE, "Progressing", facts.waiting or "none of its devices can take it", moment
    )


def _condition(kind: str, status: Status, reason: str, message: str, moment: PassStamp) -> Condition:
    return Condition(kind, status, reason, message, moment.now, moment.commit)
