# SPDX-License-Identifier: Apache-2.0
"""The progress of each rollout of a plan, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import Desired, Rollout, RolloutId
from reconciler.plan import DetailedPlan
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.review.formatting import counted


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """One rollout of a plan."""

    rollout: str
    model: str
    complete: bool
    summary: str
    waves: tuple[tuple[str, int], ...]  # name, devices


def rollout_lines(desired: Desired, reasoned: DetailedPlan) -> tuple[RolloutLine, ...]:
    """Summarize every rollout, by name."""
    return tuple(_line(desired.rollouts[name], reasoned.evaluations) for name in sorted(desired.rollouts))


def _line(rollout: Rollout, evaluations: Mapping[RolloutId, RolloutEvaluation]) -> RolloutLine:
    evaluation = evaluations.get(rollout.name)
    waves = tuple((step.name, len(step.members)) for step in evaluation.steps) if evaluation else ()
    complete = evaluation is None or evaluation.complete
    summary = f"{rollout.model}, {_state(rollout, evaluations)}"
    return RolloutLine(rollout.name, str(rollout.model), complete, summary, waves)


def _state(rollout: Rollout, evaluations: Mapping[RolloutId, RolloutEvaluation]) -> str:
    evaluation = evaluations.get(rollout.name)
    if evaluation is None:
        return "no devices"
    if evaluation.complete:
        return "complete"
    if not any(step.members for step in evaluation.steps):
        return "none of its devices can run it"
    return _hold(rollout, evaluations) or evaluation.progress.stopped or _in_progress(evaluation)


def _hold(rollout: Rollout, evaluations: Mapping[RolloutId, RolloutEvaluation]) -> str:
    if rollout.suspend:
        return "suspended"
    waits_for = [name for name in rollout.depends_on if name in evaluations and not evaluations[name].complete]
    return f"starts when {', '.join(waits_for)} is complete" if waits_for else ""


def _in_progress(evaluation: RolloutEvaluation) -> str:
    return f"{counted(len(evaluation.steps), 'wave')}; {evaluation.progress.waiting}"
