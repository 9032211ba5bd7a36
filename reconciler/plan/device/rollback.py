# SPDX-License-Identifier: Apache-2.0
"""How a device goes back to what it ran before its rollout changed it: by the cheapest way that there is."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import (
    ActivatePrebaked,
    Before,
    Configure,
    DeviceId,
    Digest,
    Install,
    ObservedDevice,
    OnFailure,
    Origin,
)
from reconciler.plan.device.fallback import best_baked
from reconciler.plan.device.goal import FormerModel, Goal, ShortDigest, short

RollbackAction = Install | ActivatePrebaked | Configure


def rollback_action(
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest]
) -> RollbackAction | None:
    """Choose the way back; None: it is where it was, was never changed, or there is none."""
    if goal.rollout.on_failure is not OnFailure.ROLL_BACK or goal.wanted is None:
        return None
    running = short(seen.running)
    if seen.before is not None and running == short(seen.before.running):
        return _parameters_back(goal, name, seen, seen.before)
    if running != goal.wanted:
        return None
    lost = {short(digest) for digest in failed}
    for digest in _candidates(goal, seen):
        if digest not in lost and (found := _way_to(goal, name, seen, digest)) is not None:
            return found
    return _prebaked(goal, name, seen, failed)


def _parameters_back(goal: Goal, name: DeviceId, seen: ObservedDevice, before: Before) -> RollbackAction | None:
    """Set the parameters back; a device that this rollout never changed has nothing to go back to."""
    if before.revision != goal.revision or before.running is None or before.parameters == seen.parameters:
        return None
    return Configure(name, goal.rollout.name, before.parameters, "goes back to the parameters that it had")


def _candidates(goal: Goal, seen: ObservedDevice) -> Iterator[ShortDigest]:
    """Yield what it ran before; where nobody knows that, what its other slot holds."""
    for digest in (short(seen.before.running if seen.before else None), short(seen.other_slot)):
        if digest is not None and digest != goal.wanted:
            yield digest


def _way_to(goal: Goal, name: DeviceId, seen: ObservedDevice, digest: ShortDigest) -> RollbackAction | None:
    former = goal.formers.get(digest)
    if former is None:
        return None  # no artifact has this digest: it can't be named in an order
    why = f"goes back to {former.model}"
    told = seen.capabilities.prebaked if seen.capabilities else ()
    if digest in map(short, told):
        return ActivatePrebaked(
            name, goal.rollout.name, former.model, former.parameters, f"{why}, which it was made with"
        )
    if digest == short(seen.other_slot):
        return _install(goal, name, former, Origin.OTHER_SLOT, seen, f"{why}, still in its other slot")
    if former.in_git:
        return _install(goal, name, former, Origin.ARTIFACT, seen, f"{why}, which is transferred again")
    return None


def _install(  # noqa: PLR0913, PLR0917 - one parameter for each thing that an order says
    goal: Goal, name: DeviceId, former: FormerModel, origin: Origin, seen: ObservedDevice, why: str
) -> Install:
    parameters = former.parameters if seen.before is None else seen.before.parameters
    return Install(name, goal.rollout.name, former.model, origin, parameters, why)


def _prebaked(goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest]) -> RollbackAction | None:
    best = best_baked(goal.made_with, seen, failed)
    if best is None:
        return None
    why = f"goes back to the pre-baked {best.model}: nothing is known of what it ran before"
    return ActivatePrebaked(name, goal.rollout.name, best.model, best.parameters, why)
