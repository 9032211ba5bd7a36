# SPDX-License-Identifier: Apache-2.0
"""The facts about rollouts that must be remembered from one plan to the next."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.model import Observed, RolloutId, RolloutMemory
from reconciler.model.snapshot_cache import reuse_if_equal
from reconciler.plan.rollout.evaluation import RolloutEvaluation


def remember(
    observed: Observed, evaluations: Mapping[RolloutId, RolloutEvaluation], now: datetime
) -> Mapping[RolloutId, RolloutMemory]:
    """Remember which rollouts have stopped or were complete, for as long as their revision is the same.

    The result is the object in `observed` if nothing is new.
    """
    memories = {name: _memory(observed.rollouts.get(name), each, now) for name, each in evaluations.items()}
    kept = {name: memory for name, memory in memories.items() if memory.stopped or memory.completed_at is not None}
    # A rollout that has no devices now may have some again, so what is known of it stays.
    without_devices = {name: memory for name, memory in observed.rollouts.items() if name not in evaluations}
    return reuse_if_equal(observed.rollouts, {**without_devices, **kept})


def _memory(before: RolloutMemory | None, evaluation: RolloutEvaluation, now: datetime) -> RolloutMemory:
    revision = evaluation.revision
    old = before if before is not None and before.revision == revision else RolloutMemory(revision)
    stopped = old.stopped or evaluation.progress.stopped
    return RolloutMemory(
        revision,
        stopped,
        (old.stopped_at or now) if stopped else None,
        old.completed_at or (now if evaluation.complete else None),
    )
