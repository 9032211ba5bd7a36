# SPDX-License-Identifier: Apache-2.0
"""What one device needs, judged alone: before waves, windows and other rollouts have their say.

docs/plan.md tells the order of the checks, and why it is this one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model import Action, Blocked, BlockedReason, DeviceId, Digest, NoChange, ObservedDevice, OnFailure, Phase
from reconciler.plan.device.fallback import fallback_action, what_now
from reconciler.plan.device.flapping import resting_words, rests_until
from reconciler.plan.device.gates import evaluate_gates
from reconciler.plan.device.goal import Goal
from reconciler.plan.device.next_step import had_begun, has_baked, next_step, runs_wanted
from reconciler.plan.device.requirements import MissingRequirement, missing_requirement, wrong_type
from reconciler.plan.device.rollback import rollback_action
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict

NOTHING_FAILED: frozenset[Digest] = frozenset()
CLONED = "two devices answer in its name: give each an identity of its own, and Git the new public key"


def evaluate(
    goal: Goal, name: DeviceId, seen: ObservedDevice | None, failed: frozenset[Digest], now: datetime
) -> DeviceVerdict:
    """Judge one device. `failed` are the digests quarantined on it."""
    if seen is None:
        return _never_seen(goal, name)
    if seen.cloned:
        return DeviceVerdict(
            Blocked(name, goal.rollout.name, BlockedReason.CLONED, CLONED), DeviceStanding.OUT, away=True
        )
    return _judge_heard(goal, name, seen, failed, now)


def _judge_heard(
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], now: datetime
) -> DeviceVerdict:
    silent_at = seen.last_seen + goal.silent_after
    silent = now >= silent_at
    until = None if silent else silent_at
    is_running = runs_wanted(goal, seen)
    if is_running and seen.phase is not Phase.TRIAL and seen.parameters == goal.parameters:
        return _settled(goal, name, seen, failed, silent=silent, until=until)
    if not is_running and (missing := _missing(goal, seen)) is not None:
        return DeviceVerdict(
            _out(goal, name, seen, failed, missing, silent=silent), DeviceStanding.OUT, until=until, away=silent
        )
    if silent:
        standing = DeviceStanding.FAILED if had_begun(goal, seen) else DeviceStanding.MISSING
        return DeviceVerdict(_silent(goal, name, seen), standing, away=True)
    if goal.digest in failed:
        return DeviceVerdict(_quarantined(goal, name, seen, failed), DeviceStanding.FAILED, until=until)
    return _due(goal, name, seen, failed, now, silent_at)


def _settled(  # noqa: PLR0913 - one parameter for each thing that this depends on
    goal: Goal,
    name: DeviceId,
    seen: ObservedDevice,
    failed: frozenset[Digest],
    *,
    silent: bool,
    until: datetime | None,
) -> DeviceVerdict:
    found = evaluate_gates(goal.rollout.gates, seen.health)
    back = None if silent else rollback_action(goal, name, seen, failed)
    if found.failed:
        words = f"runs {goal.model}, which failed a gate on it: {found.failed}"
        cant = Blocked(name, goal.rollout.name, BlockedReason.GATE, words)
        action = _silent(goal, name, seen) if silent else back or cant
        return DeviceVerdict(
            action, DeviceStanding.FAILED, until=until, away=silent, gate_failed=found.failed, back=back
        )
    action = _silent(goal, name, seen) if silent else NoChange(name, goal.settled_why)
    return DeviceVerdict(
        action,
        DeviceStanding.SETTLED,
        since=seen.confirmed_since,
        lost_at=seen.last_seen if silent else None,
        until=until,
        away=silent,
        awaits=found.awaits,
        back=back,
    )


def _due(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], now: datetime, silent_at: datetime
) -> DeviceVerdict:
    begun = had_begun(goal, seen)
    rest = None if begun else rests_until(seen, goal.silent_after)
    resting = rest is not None and now < rest
    return DeviceVerdict(
        next_step(goal, name, seen),
        DeviceStanding.DUE,
        until=min(silent_at, rest) if rest is not None and resting else silent_at,
        begun=begun,
        away=begun or seen.phase in {Phase.STAGED, Phase.TRIAL},
        back=rollback_action(goal, name, seen, failed),
        rests=resting_words(seen, rest) if rest is not None and resting else "",
    )


def _quarantined(goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest]) -> Action:
    """Say that the model failed on it. Where failures are taken back it is back already, and needs no stand-in."""
    words = f"{goal.model} failed on it and is not tried again until Git changes"
    if goal.rollout.on_failure is OnFailure.ROLL_BACK:
        return Blocked(name, goal.rollout.name, BlockedReason.QUARANTINED, f"{words}; it keeps what it runs")
    fallback = fallback_action(goal, name, seen, failed, words)
    if fallback is not None:
        return fallback
    return Blocked(name, goal.rollout.name, BlockedReason.QUARANTINED, f"{words}{what_now(goal, seen)}")


def _missing(goal: Goal, seen: ObservedDevice | None) -> MissingRequirement | None:
    """Tell what the device lacks; a model that it was made with asks for nothing, if the device is what Git says."""
    told = seen.capabilities if seen else None
    return wrong_type(goal, told) or (None if has_baked(goal, seen) else missing_requirement(goal, told))


def _out(  # noqa: PLR0913 - one parameter for each thing that this depends on
    goal: Goal,
    name: DeviceId,
    seen: ObservedDevice,
    failed: frozenset[Digest],
    missing: MissingRequirement,
    *,
    silent: bool,
) -> Action:
    """Say what a device lacks, or fall back where the rollout says so and the device can be asked."""
    if silent:
        return missing.cant(name, goal, "; it is not reporting either", silent=True)
    if missing.reason is not BlockedReason.WRONG_TYPE:
        fallback = fallback_action(goal, name, seen, failed, missing.words)
        if fallback is not None:
            return fallback
    return missing.cant(name, goal, what_now(goal, seen))


def _never_seen(goal: Goal, name: DeviceId) -> DeviceVerdict:
    """Judge by the type alone: what can't be is said even of a device that was never heard."""
    missing = _missing(goal, None)
    if missing is not None:
        return DeviceVerdict(
            missing.cant(name, goal, "; it has never reported either", silent=True), DeviceStanding.OUT, away=True
        )
    words = f"has never reported; {goal.model} waits for it"
    return DeviceVerdict(
        Blocked(name, goal.rollout.name, BlockedReason.SILENT, words), DeviceStanding.MISSING, away=True
    )


def _silent(goal: Goal, name: DeviceId, seen: ObservedDevice) -> Action:
    when = seen.last_seen.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Blocked(name, goal.rollout.name, BlockedReason.SILENT, f"not reporting since {when}")
