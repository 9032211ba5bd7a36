# SPDX-License-Identifier: Apache-2.0
"""What one device needs, judged alone: before waves, windows and other rollouts have their say.

docs/plan.md tells the order of the checks, and why it is this one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model import (
    Action,
    Cant,
    CantReason,
    DeviceId,
    Digest,
    Nothing,
    ObservedDevice,
    OnFailure,
    Phase,
)
from reconciler.plan.fit import Lack, lack, wrong_type
from reconciler.plan.flapping import resting_words, rests_until
from reconciler.plan.goal import Goal
from reconciler.plan.health import examine
from reconciler.plan.nextstep import had_begun, has_baked, next_step, runs_wanted
from reconciler.plan.standin import stand_in, what_now
from reconciler.plan.takeback import way_back
from reconciler.plan.verdict import Standing, Verdict

NOTHING_FAILED: frozenset[Digest] = frozenset()
CLONED = "two devices answer in its name: give each an identity of its own, and Git the new public key"


def judge(goal: Goal, name: DeviceId, seen: ObservedDevice | None, failed: frozenset[Digest], now: datetime) -> Verdict:
    """Judge one device. `failed` are the digests quarantined on it."""
    if seen is None:
        return _never_seen(goal, name)
    if seen.cloned:
        return Verdict(Cant(name, goal.rollout.name, CantReason.CLONED, CLONED), Standing.OUT, away=True)
    return _judge_heard(goal, name, seen, failed, now)


def _judge_heard(goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], now: datetime) -> Verdict:
    silent_at = seen.last_seen + goal.silent_after
    silent = now >= silent_at
    until = None if silent else silent_at
    is_running = runs_wanted(goal, seen)
    if is_running and seen.phase is not Phase.TRIAL and seen.parameters == goal.parameters:
        return _settled(goal, name, seen, failed, silent=silent, until=until)
    if not is_running and (missing := _missing(goal, seen)) is not None:
        return Verdict(_out(goal, name, seen, failed, missing, silent=silent), Standing.OUT, until=until, away=silent)
    if silent:
        standing = Standing.FAILED if had_begun(goal, seen) else Standing.MISSING
        return Verdict(_silent(goal, name, seen), standing, away=True)
    if goal.digest in failed:
        return Verdict(_quarantined(goal, name, seen, failed), Standing.FAILED, until=until)
    return _due(goal, name, seen, failed, now, silent_at)


def _settled(  # noqa: PLR0913 - one parameter for each thing that this depends on
    goal: Goal,
    name: DeviceId,
    seen: ObservedDevice,
    failed: frozenset[Digest],
    *,
    silent: bool,
    until: datetime | None,
) -> Verdict:
    found = examine(goal.rollout.gates, seen.health)
    back = None if silent else way_back(goal, name, seen, failed)
    if found.failed:
        words = f"runs {goal.model}, which failed a gate on it: {found.failed}"
        cant = Cant(name, goal.rollout.name, CantReason.GATE, words)
        action = _silent(goal, name, seen) if silent else back or cant
        return Verdict(action, Standing.FAILED, until=until, away=silent, gate_failed=found.failed, back=back)
    action = _silent(goal, name, seen) if silent else Nothing(name, goal.settled_why)
    return Verdict(
        action,
        Standing.SETTLED,
        since=seen.confirmed_since,
        lost_at=seen.last_seen if silent else None,
        until=until,
        away=silent,
        awaits=found.awaits,
        back=back,
    )


def _due(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], now: datetime, silent_at: datetime
) -> Verdict:
    begun = had_begun(goal, seen)
    rest = None if begun else rests_until(seen, goal.silent_after)
    resting = rest is not None and now < rest
    return Verdict(
        next_step(goal, name, seen),
        Standing.DUE,
        until=min(silent_at, rest) if rest is not None and resting else silent_at,
        begun=begun,
        away=begun or seen.phase in {Phase.STAGED, Phase.TRIAL},
        back=way_back(goal, name, seen, failed),
        rests=resting_words(seen, rest) if rest is not None and resting else "",
    )


def _quarantined(goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest]) -> Action:
    """Say that the model failed on it. Where failures are taken back it is back already, and needs no stand-in."""
    words = f"{goal.model} failed on it and is not tried again until Git changes"
    if goal.rollout.on_failure is OnFailure.TAKE_BACK:
        return Cant(name, goal.rollout.name, CantReason.QUARANTINED, f"{words}; it keeps what it runs")
    fallback = stand_in(goal, name, seen, failed, words)
    if fallback is not None:
        return fallback
    return Cant(name, goal.rollout.name, CantReason.QUARANTINED, f"{words}{what_now(goal, seen)}")


def _missing(goal: Goal, seen: ObservedDevice | None) -> Lack | None:
    """Tell what the device lacks; a model that it was made with asks for nothing, if the device is what Git says."""
    told = seen.capabilities if seen else None
    return wrong_type(goal, told) or (None if has_baked(goal, seen) else lack(goal, told))


def _out(  # noqa: PLR0913 - one parameter for each thing that this depends on
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], missing: Lack, *, silent: bool
) -> Action:
    """Say what a device lacks, or fall back where the rollout says so and the device can be asked."""
    if silent:
        return missing.cant(name, goal, "; it is not reporting either", silent=True)
    if missing.reason is not CantReason.WRONG_TYPE:
        fallback = stand_in(goal, name, seen, failed, missing.words)
        if fallback is not None:
            return fallback
    return missing.cant(name, goal, what_now(goal, seen))


def _never_seen(goal: Goal, name: DeviceId) -> Verdict:
    """Judge by the type alone: what can't be is said even of a device that was never heard."""
    missing = _missing(goal, None)
    if missing is not None:
        return Verdict(missing.cant(name, goal, "; it has never reported either", silent=True), Standing.OUT, away=True)
    words = f"has never reported; {goal.model} waits for it"
    return Verdict(Cant(name, goal.rollout.name, CantReason.SILENT, words), Standing.MISSING, away=True)


def _silent(goal: Goal, name: DeviceId, seen: ObservedDevice) -> Action:
    when = seen.last_seen.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Cant(name, goal.rollout.name, CantReason.SILENT, f"not reporting since {when}")
