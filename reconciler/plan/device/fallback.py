# SPDX-License-Identifier: Apache-2.0
"""What runs instead where a device can't have what its rollout wants: the rollout's `fallback`."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import ActivatePrebaked, DeviceId, Digest, Fallback, ObservedDevice
from reconciler.plan.device.goal import Goal, PrebakedModel, short

_WITHOUT_STAND_IN = {Fallback.KEEP: "; it keeps what it runs", Fallback.REPORT: "; it needs a technician"}


def fallback_action(
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], words: str
) -> ActivatePrebaked | None:
    """Choose the pre-baked model to activate instead; None where there is none, or it runs already."""
    best = best_baked(goal.fallbacks, seen, failed)
    if best is None or _runs_baked(best, seen):
        return None
    why = f"{words}; falls back to the pre-baked {best.model}"
    return ActivatePrebaked(name, goal.rollout.name, best.model, best.parameters, why)


def what_now(goal: Goal, seen: ObservedDevice) -> str:
    """Say what the rollout's fallback means for a device that can't have the model."""
    if goal.rollout.fallback is Fallback.PREBAKED:
        runs_one = any(_runs_baked(baked, seen) for baked in goal.fallbacks)
        return "; it runs a pre-baked model instead" if runs_one else "; no pre-baked model can stand in"
    return _WITHOUT_STAND_IN[goal.rollout.fallback]


def best_baked(
    candidates: Iterable[PrebakedModel], seen: ObservedDevice, failed: frozenset[Digest]
) -> PrebakedModel | None:
    """Choose the first that the device may have (its word goes over its type's), and that did not fail on it."""
    told = None if seen.capabilities is None else {short(digest) for digest in seen.capabilities.prebaked}
    for baked in candidates:
        known_absent = told is not None and (not told or (baked.digest is not None and short(baked.digest) not in told))
        if not known_absent and baked.digest not in failed:
            return baked
    return None


def _runs_baked(baked: PrebakedModel, seen: ObservedDevice) -> bool:
    """Tell whether the fallback runs already; before it was built here, any pre-baked model counts as it."""
    if baked.digest is not None:
        return short(seen.running) == short(baked.digest)
    told = seen.capabilities
    return seen.running is not None and told is not None and short(seen.running) in map(short, told.prebaked)
