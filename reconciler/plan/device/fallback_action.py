# SPDX-License-Identifier: Apache-2.0
"""The fallback of a rollout: the model for a device that cannot run the model of the rollout."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import ActivatePrebaked, Digest, Fallback, ObservedDevice, short_digest
from reconciler.plan.device.case import Case
from reconciler.plan.device.rollout_goal import Goal, PrebakedModel

_WITHOUT_PREBAKED = {Fallback.KEEP: "; it keeps what it runs", Fallback.REPORT: "; it needs a technician"}


def fallback_action(case: Case, why: str) -> ActivatePrebaked | None:
    """Choose the pre-baked model to activate instead; None if there is none, or if the device runs it already."""
    best = best_prebaked(case.goal.fallbacks, case.seen, case.failed)
    if best is None or _runs_prebaked(best, case.seen):
        return None
    message = f"{why}; falls back to the pre-baked {best.model}"
    return ActivatePrebaked(case.device, case.goal.rollout.name, best.model, best.parameters, message)


def fallback_message(goal: Goal, seen: ObservedDevice) -> str:
    """Describe the fallback for a device that cannot run the model and has nothing to activate."""
    if goal.rollout.fallback is Fallback.PREBAKED:
        runs_one = any(_runs_prebaked(prebaked, seen) for prebaked in goal.fallbacks)
        return "; it runs a pre-baked model instead" if runs_one else "; it has no pre-baked model to fall back to"
    return _WITHOUT_PREBAKED[goal.rollout.fallback]


def best_prebaked(
    candidates: Iterable[PrebakedModel], seen: ObservedDevice, failed: frozenset[Digest]
) -> PrebakedModel | None:
    """Choose the first model that the device may have and that has not failed on it. Its report overrides its type."""
    reported = None if seen.capabilities is None else {short_digest(digest) for digest in seen.capabilities.prebaked}
    for prebaked in candidates:
        known_absent = reported is not None and (
            not reported or (prebaked.digest is not None and short_digest(prebaked.digest) not in reported)
        )
        if not known_absent and prebaked.digest not in failed:
            return prebaked
    return None


def _runs_prebaked(prebaked: PrebakedModel, seen: ObservedDevice) -> bool:
    """Whether the device runs this model. Until this gateway has built it, any pre-baked model counts as it."""
    if prebaked.digest is not None:
        return short_digest(seen.running) == short_digest(prebaked.digest)
    reported = seen.capabilities
    return (
        seen.running is not None
        and reported is not None
        and short_digest(seen.running) in map(short_digest, reported.prebaked)
    )
