# SPDX-License-Identifier: Apache-2.0
"""The evaluation of one device against its goal, before waves, windows and other rollouts apply.

docs/plan.md lists the checks in order and gives the reason for that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC

from reconciler.model import (
    Action,
    Blocked,
    BlockedReason,
    DeviceId,
    Digest,
    NoChange,
    Observed,
    ObservedDevice,
    OnFailure,
    Phase,
)
from reconciler.plan.device.case import Case, has_prebaked_goal
from reconciler.plan.device.fallback_action import fallback_action, fallback_message
from reconciler.plan.device.flapping import pause_message, paused_until
from reconciler.plan.device.gates import evaluate_gates
from reconciler.plan.device.next_step import next_step
from reconciler.plan.device.requirements import MissingRequirement, missing_requirement, wrong_type
from reconciler.plan.device.rollback_action import rollback_action
from reconciler.plan.device.rollout_goal import Goal
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
)

NOTHING_FAILED: frozenset[Digest] = frozenset()
CLONED = "two devices report under its name: give each its own identity, and put the new public keys into Git"


def failures_by_device(observed: Observed) -> Mapping[DeviceId, frozenset[Digest]]:
    """Group the quarantined digests by device."""
    failed: dict[DeviceId, set[Digest]] = {}
    for device, digest in observed.quarantined:
        failed.setdefault(device, set()).add(digest)
    return {device: frozenset(digests) for device, digests in failed.items()}


def evaluate(case: Case) -> DeviceVerdict:
    """Evaluate a device that has reported."""
    seen, goal = case.seen, case.goal
    if seen.cloned:
        return OutDevice(Blocked(case.device, goal.rollout.name, BlockedReason.CLONED, CLONED), away=True)
    silent_at = case.silent_at
    silent = case.now >= silent_at
    until = None if silent else silent_at
    runs_goal = case.runs_goal
    if runs_goal and seen.phase is not Phase.TRIAL and seen.parameters == goal.parameters:
        return _settled(case, silent=silent)
    if not runs_goal and (missing := _missing_requirement(goal, seen)) is not None:
        return OutDevice(_without_requirement(case, missing, silent=silent), until=until, away=silent)
    if silent:
        action = _silent(case)
        return FailedDevice(action, away=True) if case.has_begun else MissingDevice(action)
    if goal.digest in case.failed:
        return FailedDevice(_quarantined(case), until=until)
    return _due(case)


def evaluate_unseen(goal: Goal, device: DeviceId) -> DeviceVerdict:
    """Evaluate a device that has never reported, by its type: what it lacks is known all the same."""
    missing = _missing_requirement(goal, None)
    if missing is not None:
        return OutDevice(missing.blocked(device, goal, "; it has never reported either", silent=True), away=True)
    message = f"has never reported; {goal.model} waits for it"
    return MissingDevice(Blocked(device, goal.rollout.name, BlockedReason.SILENT, message))


def _settled(case: Case, *, silent: bool) -> DeviceVerdict:
    goal, seen = case.goal, case.seen
    until = None if silent else case.silent_at
    result = evaluate_gates(goal.rollout.gates, seen.health)
    rollback = None if silent else rollback_action(case)
    if result.failed:
        message = f"runs {goal.model}, which failed a gate on this device: {result.failed}"
        blocked = Blocked(case.device, goal.rollout.name, BlockedReason.GATE, message)
        action = _silent(case) if silent else rollback or blocked
        return FailedDevice(action, until=until, away=silent, failed_gate=result.failed, rollback=rollback)
    return SettledDevice(
        _silent(case) if silent else NoChange(case.device, goal.settled_message),
        until=until,
        since=seen.confirmed_since,
        silent_since=seen.last_seen if silent else None,
        pending_gate=result.pending,
        rollback=rollback,
    )


def _due(case: Case) -> DeviceVerdict:
    seen = case.seen
    begun = case.has_begun
    pause_ends = None if begun else paused_until(seen, case.goal.silent_after)
    paused, until = "", case.silent_at
    if pause_ends is not None and case.now < pause_ends:
        paused, until = pause_message(seen, pause_ends), min(until, pause_ends)
    return DueDevice(
        next_step(case),
        until=until,
        begun=begun,
        away=begun or seen.phase in {Phase.STAGED, Phase.TRIAL},
        rollback=rollback_action(case),
        paused=paused,
    )


def _quarantined(case: Case) -> Action:
    """Block the device, because the model failed on it, or fall back. After a rollback no fallback is needed."""
    goal = case.goal
    message = f"{goal.model} failed on this device and is not retried until Git changes"
    if goal.rollout.on_failure is OnFailure.ROLL_BACK:
        suffix = "; it keeps what it runs"
    elif (fallback := fallback_action(case, message)) is not None:
        return fallback
    else:
        suffix = fallback_message(goal, case.seen)
    return Blocked(case.device, goal.rollout.name, BlockedReason.QUARANTINED, f"{message}{suffix}")


def _missing_requirement(goal: Goal, seen: ObservedDevice | None) -> MissingRequirement | None:
    """Return the missing requirement, if any. A pre-baked model needs only the right device type."""
    reported = seen.capabilities if seen is not None else None
    if (wrong := wrong_type(goal, reported)) is not None:
        return wrong
    return None if has_prebaked_goal(goal, seen) else missing_requirement(goal, reported)


def _without_requirement(case: Case, missing: MissingRequirement, *, silent: bool) -> Action:
    """Block the device with the missing requirement, or fall back if the rollout does so and the device reports."""
    if silent:
        return missing.blocked(case.device, case.goal, "; it is not reporting either", silent=True)
    if missing.reason is not BlockedReason.WRONG_TYPE:
        fallback = fallback_action(case, missing.message)
        if fallback is not None:
            return fallback
    return missing.blocked(case.device, case.goal, fallback_message(case.goal, case.seen))


def _silent(case: Case) -> Action:
    since = case.seen.last_seen.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Blocked(case.device, case.goal.rollout.name, BlockedReason.SILENT, f"not reporting since {since}")
