# SPDX-License-Identifier: Apache-2.0
"""How far each rollout is, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model import Desired, Rollout, RolloutId
from reconciler.plan import DetailedPlan
from reconciler.plan.rollout.evaluation import RolloutEvaluation


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """One rollout, as a plan tells of it."""

    rollout: str
    model: str
    complete: bool
    words: str
    waves: tuple[tuple[str, int], ...]  # name, devices


def progress(desired: Desired, reasoned: DetailedPlan) -> tuple[RolloutLine, ...]:
    """Tell of every rollout, by name."""
    return tuple(_progress(desired.rollouts[name], reasoned.evaluations) for name in sorted(desired.rollouts))


def _progress(rollout: Rollout, courses: Mapping[RolloutId, RolloutEvaluation]) -> RolloutLine:
    course = courses.get(rollout.name)
    waves = tuple((step.name, len(step.members)) for step in course.steps) if course else ()
    complete = course is None or course.complete
    words = f"{rollout.model}, {_words(rollout, courses)}"
    return RolloutLine(rollout.name, str(rollout.model), complete, words, waves)


def _words(rollout: Rollout, courses: Mapping[RolloutId, RolloutEvaluation]) -> str:
    course = courses.get(rollout.name)
    if course is None:
        return "has no devices"
    if course.complete:
        return "complete"
    if not any(step.members for step in course.steps):
        return "none of its devices can take it"
    return _held(rollout, courses) or course.progress.stopped or _under_way(course)


def _held(rollout: Rollout, courses: Mapping[RolloutId, RolloutEvaluation]) -> str:
    if rollout.suspend:
        return "suspended"
    waits_for = [name for name in rollout.depends_on if name in courses and not courses[name].complete]
    return f"begins when {', '.join(waits_for)} is complete" if waits_for else ""


def _under_way(course: RolloutEvaluation) -> str:
    total = len(course.steps)
    return f"{total} wave{'s' if total > 1 else ''}; {course.progress.waiting}"
