# SPDX-License-Identifier: Apache-2.0
"""What one device needs, judged alone: before waves, windows and other rollouts have their say.

docs/plan.md tells the order of the checks, and why it is this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Cant,
    CantReason,
    Configure,
    DeviceId,
    Digest,
    Fallback,
    Hold,
    HoldReason,
    Install,
    Nothing,
    ObservedDevice,
    Origin,
    Phase,
)
from reconciler.plan.fit import Lack, lack, wrong_type
from reconciler.plan.goal import Baked, Goal, short

NOTHING_FAILED: frozenset[Digest] = frozenset()
CLONED = "two devices answer in its name: give each an identity of its own, and Git the new public key"


class Standing(Enum):
    """Where a device stands in its rollout."""

    SETTLED = "settled"  # is what the rollout wants; it may have to soak yet
    DUE = "due"  # has yet to get there, or is on its way
    FAILED = "failed"  # tried and failed, or fell silent while it tried
    MISSING = "missing"  # not reporting: can't be asked
    OUT = "out"  # can never have it: no part of any wave


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would be done if nothing held it, and what the device's wave has to know."""

    action: Action
    standing: Standing
    since: datetime | None = None  # settled since
    lost_at: datetime | None = None  # settled, but not heard since
    until: datetime | None = None  # from then on time alone makes this verdict stale

    def says_the_same(self, other: Verdict) -> bool:
        """Compare all but how long it holds."""
        return (
            self.standing is other.standing
            and self.since == other.since
            and self.lost_at == other.lost_at
            and self.action == other.action
        )


def judge(goal: Goal, name: DeviceId, seen: ObservedDevice | None, failed: frozenset[Digest], now: datetime) -> Verdict:
    """Judge one device. `failed` are the digests quarantined on it."""
    if seen is None:
        return _never_seen(goal, name)
    if seen.cloned:
        return Verdict(Cant(name, goal.rollout.name, CantReason.CLONED, CLONED), Standing.OUT)
    silent_at = seen.last_seen + goal.silent_after
    silent = now >= silent_at
    until = None if silent else silent_at
    runs_wanted = _runs_wanted(goal, seen)
    if runs_wanted and seen.phase is not Phase.TRIAL and seen.parameters == goal.parameters:
        return _settled(goal, name, seen, silent=silent, until=until)
    if not runs_wanted and (missing := _missing(goal, seen)) is not None:
        return Verdict(_out(goal, name, seen, failed, missing, silent=silent), Standing.OUT, until=until)
    if silent:
        standing = Standing.FAILED if _had_begun(goal, seen) else Standing.MISSING
        return Verdict(_silent(goal, name, seen), standing)
    if goal.digest in failed:
        words = f"{goal.model} failed on it and is not tried again until Git changes"
        action = _fallback(goal, name, seen, failed, words)
        cant = Cant(name, goal.rollout.name, CantReason.QUARANTINED, f"{words}{_what_now(goal, seen)}")
        return Verdict(action or cant, Standing.FAILED, until=until)
    return Verdict(_next_step(goal, name, seen), Standing.DUE, until=until)


def _runs_wanted(goal: Goal, seen: ObservedDevice) -> bool:
    return goal.wanted is not None and seen.running is not None and short(seen.running) == goal.wanted


def _had_begun(goal: Goal, seen: ObservedDevice) -> bool:
    return goal.wanted is not None and goal.wanted in {short(seen.running), short(seen.incoming)}


def _has_baked(goal: Goal, seen: ObservedDevice | None) -> bool:
    """Tell whether the wanted model was made into the device; the device's word goes over its type's."""
    told = seen.capabilities if seen else None
    if told is None or goal.wanted is None:
        return goal.is_baked
    return any(short(digest) == goal.wanted for digest in told.prebaked)


def _missing(goal: Goal, seen: ObservedDevice | None) -> Lack | None:
    """Tell what the device lacks; a model that it was made with asks for nothing, if the device is what Git says."""
    told = seen.capabilities if seen else None
    return wrong_type(goal, told) or (None if _has_baked(goal, seen) else lack(goal, told))


def _out(  # noqa: PLR0913 - one parameter for each thing that this depends on
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], missing: Lack, *, silent: bool
) -> Action:
    """Say what a device lacks, or fall back where the rollout says so and the device can be asked."""
    if silent:
        return missing.cant(name, goal, "; it is not reporting either", silent=True)
    if missing.reason is not CantReason.WRONG_TYPE:
        fallback = _fallback(goal, name, seen, failed, missing.words)
        if fallback is not None:
            return fallback
    return missing.cant(name, goal, _what_now(goal, seen))


def _never_seen(goal: Goal, name: DeviceId) -> Verdict:
    """Judge by the type alone: what can't be is said even of a device that was never heard."""
    missing = _missing(goal, None)
    if missing is not None:
        return Verdict(missing.cant(name, goal, "; it has never reported either", silent=True), Standing.OUT)
    words = f"has never reported; {goal.model} waits for it"
    return Verdict(Cant(name, goal.rollout.name, CantReason.SILENT, words), Standing.MISSING)


def _settled(goal: Goal, name: DeviceId, seen: ObservedDevice, *, silent: bool, until: datetime | None) -> Verdict:
    if silent:
        action = _silent(goal, name, seen)
        return Verdict(action, Standing.SETTLED, since=seen.confirmed_since, lost_at=seen.last_seen)
    action = Nothing(name, goal.settled_why)
    return Verdict(action, Standing.SETTLED, since=seen.confirmed_since, until=until)


def _silent(goal: Goal, name: DeviceId, seen: ObservedDevice) -> Action:
    when = seen.last_seen.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Cant(name, goal.rollout.name, CantReason.SILENT, f"not reporting since {when}")


def _next_step(goal: Goal, name: DeviceId, seen: ObservedDevice) -> Action:
    """Choose the cheapest way from what the device is to what it shall be."""
    rollout = goal.rollout.name
    if _is_trying(goal, seen):
        return Hold(name, rollout, HoldReason.IN_PROGRESS, f"{goal.model} is {seen.phase.value}; the device decides")
    if _runs_wanted(goal, seen):
        return Configure(name, rollout, goal.parameters, f"runs {goal.model}; {_differences(goal, seen)}")
    if _has_baked(goal, seen):
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


def _fallback(
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], words: str
) -> ActivatePrebaked | None:
    """Choose the pre-baked model to activate instead; None where there is none, or it runs already."""
    best = _best_fallback(goal, seen, failed)
    if best is None or _runs_baked(best, seen):
        return None
    why = f"{words}; falls back to the pre-baked {best.model}"
    return ActivatePrebaked(name, goal.rollout.name, best.model, best.parameters, why)


def _best_fallback(goal: Goal, seen: ObservedDevice, failed: frozenset[Digest]) -> Baked | None:
    told = None if seen.capabilities is None else {short(digest) for digest in seen.capabilities.prebaked}
    for baked in goal.fallbacks:
        known_absent = told is not None and (not told or (baked.digest is not None and short(baked.digest) not in told))
        if not known_absent and baked.digest not in failed:
            return baked
    return None


def _runs_baked(baked: Baked, seen: ObservedDevice) -> bool:
    """Tell whether the fallback runs already; before it was built here, any pre-baked model counts as it."""
    if baked.digest is not None:
        return short(seen.running) == short(baked.digest)
    told = seen.capabilities
    return seen.running is not None and told is not None and short(seen.running) in map(short, told.prebaked)


def _what_now(goal: Goal, seen: ObservedDevice) -> str:
    """Say what the rollout's fallback means for a device that can't have the model."""
    match goal.rollout.fallback:
        case Fallback.KEEP:
            return "; it keeps what it runs"
        case Fallback.REPORT:
            return "; it needs a technician"
        case Fallback.PREBAKED:
            fallback_runs = any(_runs_baked(baked, seen) for baked in goal.fallbacks)
            return "; it runs a pre-baked model instead" if fallback_runs else "; no pre-baked model can stand in"
