# SPDX-License-Identifier: Apache-2.0
"""The cheapest way from what a device is to what it shall be."""

from __future__ import annotations

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Configure,
    DeviceId,
    Hold,
    HoldReason,
    Install,
    ObservedDevice,
    Origin,
    Phase,
)
from reconciler.plan.device.goal import Goal, short


def next_step(goal: Goal, name: DeviceId, seen: ObservedDevice) -> Action:
    """Choose the cheapest way from what the device is to what it shall be."""
    rollout = goal.rollout.name
    if _is_trying(goal, seen):
        return Hold(name, rollout, HoldReason.IN_PROGRESS, f"{goal.model} is {seen.phase.value}; the device decides")
    if runs_wanted(goal, seen):
        return Configure(name, rollout, goal.parameters, f"runs {goal.model}; {_differences(goal, seen)}")
    if has_baked(goal, seen):
        return ActivatePrebaked(name, rollout, goal.model, goal.parameters, f"was made with {goal.model}")
    if goal.wanted is None:
        origin, how = Origin.BUILD, "must be built first"
    elif short(seen.other_slot) == goal.wanted:
        origin, how = Origin.OTHER_SLOT, "is still in its other slot"
    elif short(seen.incoming) == goal.wanted:
        origin, how = Origin.ARTIFACT, "is on its way: the transfer goes on"
    else:
        origin, how = Origin.ARTIFACT, "is to be transferred"
    return Install(name, rollout, goal.model, origin, goal.parameters, f"{goal.model} {how}")


def had_begun(goal: Goal, seen: ObservedDevice) -> bool:
    """Tell whether the wanted pack is on its way to it, or on trial. Other parameters for what it runs are no begin."""
    if goal.wanted is None:
        return False
    return goal.wanted == short(seen.incoming) or (seen.phase is Phase.TRIAL and goal.wanted == short(seen.running))


def runs_wanted(goal: Goal, seen: ObservedDevice) -> bool:
    """Tell whether it runs the wanted pack, as far as it told of its digest."""
    return goal.wanted is not None and seen.running is not None and short(seen.running) == goal.wanted


def has_baked(goal: Goal, seen: ObservedDevice | None) -> bool:
    """Tell whether the wanted model was made into the device; the device's word goes over its type's."""
    told = seen.capabilities if seen else None
    if told is None or goal.wanted is None:
        return goal.is_baked
    return any(short(digest) == goal.wanted for digest in told.prebaked)


def _is_trying(goal: Goal, seen: ObservedDevice) -> bool:
    """Tell whether the device has all of the wanted pack and now has to try it."""
    if goal.wanted is None:
        return False
    staged = seen.phase is Phase.STAGED and short(seen.incoming) == goal.wanted
    return staged or (seen.phase is Phase.TRIAL and short(seen.running) == goal.wanted)


def _differences(goal: Goal, seen: ObservedDevice) -> str:
    """Name each parameter that differs, with both values."""
    changes = []
    for key in sorted({*goal.parameters, *seen.parameters}):
        have, want = seen.parameters.get(key), goal.parameters.get(key)
        if have != want:
            changes.append(f"{key} {'unset' if have is None else have} → {'unset' if want is None else want}")
    return ", ".join(changes)
