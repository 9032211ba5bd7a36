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
    OnFailure,
    Origin,
    Phase,
)
from reconciler.plan.fit import Lack, lack, wrong_type
from reconciler.plan.flapping import resting_words, rests_until
from reconciler.plan.goal import Baked, Goal, short
from reconciler.plan.health import examine
from reconciler.plan.takeback import Return, way_back

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
    begun: bool = False  # due, and on its way or on trial: it may fail
    away: bool = False  # can't do its work now
    awaits: str = ""  # settled, and which gate can't be judged yet
    gate_failed: str = ""  # which gate it failed, and how
    back: Return | None = None  # what would be done to take it back
    rests: str = ""  # why it is left alone for now
    proven: bool = False  # its gateway says that it is done
    elsewhere: str = ""  # the gateway that tells of it, where that is not this one

    def says_the_same(self, other: Verdict) -> bool:
        """Compare all but how long it holds."""
        return (
            self.standing is other.standing
            and self.action == other.action
            and self.since == other.since
            and self.lost_at == other.lost_at
            and _beside(self) == _beside(other)
        )


def _beside(verdict: Verdict) -> tuple[object, ...]:
    return (
        verdict.begun,
        verdict.away,
        verdict.awaits,
        verdict.gate_failed,
        verdict.rests,
        verdict.proven,
        verdict.elsewhere,
        verdict.back,
    )


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
    runs_wanted = _runs_wanted(goal, seen)
    if runs_wanted and seen.phase is not Phase.TRIAL and seen.parameters == goal.parameters:
        return _settled(goal, name, seen, failed, silent=silent, until=until)
    if not runs_wanted and (missing := _missing(goal, seen)) is not None:
        return Verdict(_out(goal, name, seen, failed, missing, silent=silent), Standing.OUT, until=until, away=silent)
    if silent:
        standing = Standing.FAILED if _had_begun(goal, seen) else Standing.MISSING
        return Verdict(_silent(goal, name, seen), standing, away=True)
    if goal.digest in failed:
        return Verdict(_quarantined(goal, name, seen, failed), Standing.FAILED, until=until)
    return _due(goal, name, seen, failed, now, silent_at)


def _due(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    goal: Goal, name: DeviceId, seen: ObservedDevice, failed: frozenset[Digest], now: datetime, silent_at: datetime
) -> Verdict:
    begun = _had_begun(goal, seen)
    rest = None if begun else rests_until(seen, goal.silent_after)
    resting = rest is not None and now < rest
    return Verdict(
        _next_step(goal, name, seen),
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
    if goal.rollout.on_failure is not OnFailure.TAKE_BACK:
        fallback = _fallback(goal, name, seen, failed, words)
        if fallback is not None:
            return fallback
    return Cant(name, goal.rollout.name, CantReason.QUARANTINED, f"{words}{_what_now(goal, seen)}")


def _runs_wanted(goal: Goal, seen: ObservedDevice) -> bool:
    return goal.wanted is not None and seen.running is not None and short(seen.running) == goal.wanted


def _had_begun(goal: Goal, seen: ObservedDevice) -> bool:
    """Tell whether the wanted pack is on its way to it, or on trial. Other parameters for what it runs are no begin."""
    if goal.wanted is None:
        return False
    return goal.wanted == short(seen.incoming) or (seen.phase is Phase.TRIAL and goal.wanted == short(seen.running))


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
        return Verdict(missing.cant(name, goal, "; it has never reported either", silent=True), Standing.OUT, away=True)
    words = f"has never reported; {goal.model} waits for it"
    return Verdict(Cant(name, goal.rollout.name, CantReason.SILENT, words), Standing.MISSING, away=True)


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
