# SPDX-License-Identifier: Apache-2.0
"""What must be remembered of rollouts, and what this gateway tells the others of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.model import DeviceId, Observed, RolloutId, RolloutMemory, RolloutWord
from reconciler.plan.bearing import Bearing, bearing
from reconciler.plan.course import Course
from reconciler.plan.verdict import Standing, Verdict


def remember(
    observed: Observed, courses: Mapping[RolloutId, Course], now: datetime
) -> Mapping[RolloutId, RolloutMemory]:
    """Remember that a rollout stopped or was complete, until its wish changes; the same value while nothing is new."""
    memories = {name: _memory(observed.rollouts.get(name), course, now) for name, course in courses.items()}
    kept = {name: memory for name, memory in memories.items() if memory.stopped or memory.completed_at is not None}
    # A rollout without devices now may have some again: what is known of it stays until its wish changes.
    kept = {**{name: memory for name, memory in observed.rollouts.items() if name not in courses}, **kept}
    return observed.rollouts if kept == observed.rollouts else kept


def _memory(before: RolloutMemory | None, course: Course, now: datetime) -> RolloutMemory:
    old = before if before is not None and before.wish == course.wish else RolloutMemory(course.wish)
    stopped = old.stopped or course.progress.stopped
    return RolloutMemory(
        course.wish,
        stopped,
        (old.stopped_at or now) if stopped else None,
        old.completed_at or (now if course.complete else None),
    )


def word_of(
    course: Course,
    verdicts: Mapping[DeviceId, Verdict],
    ours: Collection[DeviceId],
    before: RolloutWord | None,
    now: datetime,
) -> RolloutWord:
    """Say where our devices stand in one rollout; the very word of before, its time too, while nothing is new."""
    sets: dict[Bearing, set[DeviceId]] = defaultdict(set)
    for step in course.steps:
        for name in step.members:
            if name in ours:
                sets[bearing(verdicts[name], step.soak, now)].add(name)
    out = (name for name in ours if verdicts[name].standing is Standing.OUT)
    word = RolloutWord(
        wish=course.wish,
        done=frozenset(sets[Bearing.DONE]),
        begun=frozenset(sets[Bearing.BEGUN]),
        soaking=frozenset(sets[Bearing.SOAKING]),
        due=frozenset(sets[Bearing.DUE]),
        failed=frozenset(sets[Bearing.FAILED]),
        missing=frozenset(sets[Bearing.MISSING]),
        out=frozenset(out),
        stopped=course.progress.stopped,
        at=before.at if before is not None else now,
    )
    return word if word == before else replace(word, at=now)
