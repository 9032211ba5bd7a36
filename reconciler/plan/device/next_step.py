# SPDX-License-Identifier: Apache-2.0
"""The cheapest step that brings a device closer to its goal."""

from __future__ import annotations

from reconciler.model import Action, ActivatePrebaked, Configure, Hold, HoldReason, Install, Origin, short_digest
from reconciler.plan.device.case import Case


def next_step(case: Case) -> Action:
    """Choose the cheapest step from what the device runs to what its rollout wants."""
    goal, device, seen = case.goal, case.device, case.seen
    rollout = goal.rollout.name
    if case.is_trying:
        return Hold(device, rollout, HoldReason.IN_PROGRESS, f"{goal.model} is {seen.phase.value}; the device decides")
    if case.runs_goal:
        return Configure(device, rollout, goal.parameters, f"runs {goal.model}; {_changed_parameters(case)}")
    if case.has_prebaked_goal:
        return ActivatePrebaked(device, rollout, goal.model, goal.parameters, f"was provisioned with {goal.model}")
    if goal.pack is None:
        origin, how = Origin.BUILD, "must be built first"
    elif short_digest(seen.other_slot) == goal.pack:
        origin, how = Origin.OTHER_SLOT, "is still in the device's other slot"
    elif short_digest(seen.incoming) == goal.pack:
        origin, how = Origin.ARTIFACT, "is being transferred: the transfer continues"
    else:
        origin, how = Origin.ARTIFACT, "has to be transferred"
    return Install(device, rollout, goal.model, origin, goal.parameters, f"{goal.model} {how}")


def _changed_parameters(case: Case) -> str:
    """List each parameter that differs, with both values."""
    observed, desired = case.seen.parameters, case.goal.parameters
    changes = []
    for key in sorted({*desired, *observed}):
        old, new = observed.get(key), desired.get(key)
        if old != new:
            changes.append(f"{key} {'unset' if old is None else old} → {'unset' if new is None else new}")
    return ", ".join(changes)
