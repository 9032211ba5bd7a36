# SPDX-License-Identifier: Apache-2.0
"""What must be remembered of rollouts, and what this gateway tells the others of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.model import DeviceId, Observed, RolloutId, RolloutMemory, RolloutReport
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout.tally import WaveRole, wave_role


def remember(
    observed: Observed, courses: Mapping[RolloutId, RolloutEvaluation], now: datetime
) -> Mapping[RolloutId, RolloutMemory]:
    """Remember that a rollout stopped or was complete, until its revision changes; the same value if nothing is new."""
    memories = {name: _memory(observed.rollouts.get(name), course, now) for name, course in courses.items()}
    kept = {name: memory for name, memory in memories.items() if memory.stopped or memory.completed_at is not None}
    # A rollout without devices now may have some again: what is known of it stays until its revision changes.
    kept = {**{name: memory for name, memory in observed.rollouts.items() if name not in courses}, **kept}
    return observed.rollouts if kept == observed.rollouts else kept


def _memory(before: RolloutMemory | None, course: RolloutEvaluation, now: datetime) -> RolloutMemory:
    old = before if before is not None and before.revision == course.revision else RolloutMemory(course.revision)
    stopped = old.stopped or course.progress.stopped
    return RolloutMemory(
        course.revision,
        stopped,
        (old.stopped_at or now) if stopped else None,
        old.completed_at or (now if course.complete else None),
    )


def report_to_peers(
    course: RolloutEvaluation,
    verdicts: Mapping[DeviceId, DeviceVerdict],
    ours: Collection[DeviceId],
    before: RolloutReport | None,
    now: datetime,
) -> RolloutReport:
    """Say where our devices stand in one rollout; the very word of before, its time too, while nothing is new."""
    sets: dict[WaveRole, set[DeviceId]] = defaultdict(set)
    for step in course.steps:
        for name in step.members:
            if name in ours:
                sets[wave_role(verdicts[name], step.soak, now)].add(name)
    out = (name for name in ours if verdicts[name].standing is DeviceStanding.OUT)
    word = RolloutReport(
        revision=course.revision,
        done=frozenset(sets[WaveRole.DONE]),
        begun=frozenset(sets[WaveRole.BEGUN]),
        soaking=frozenset(sets[WaveRole.SOAKING]),
        due=frozenset(sets[WaveRole.DUE]),
        failed=frozenset(sets[WaveRole.FAILED]),
        missing=frozenset(sets[WaveRole.MISSING]),
        out=frozenset(out),
        stopped=course.progress.stopped,
        at=before.at if before is not None else now,
    )
    return word if word == before else replace(word, at=now)
