# SPDX-License-Identifier: Apache-2.0
"""What a reviewer should look at twice. A risk is no mistake: it may be what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model import Blocked, BlockedReason, Desired, DeviceId, Fallback, ModelRef, TypeId
from reconciler.plan.claims import Claims
from reconciler.review.affected_devices import Reach
from reconciler.review.forecast import RolloutReview, windows_within_s
from reconciler.review.reported_state import ReportedState

CANARY_PERCENT = 10  # of a rollout's devices; a larger first wave is told
CANARY_FEW = 5  # so many devices are a small canary, whatever their share
HOUR_S = 3600


class RiskCode(StrEnum):
    """The sorts of risk; docs/review.md says of each what to do."""

    FIRST_OF_TYPE = "FirstOfItsType"
    NO_FALLBACK = "NoFallback"
    ALL_AT_ONCE = "AllAtOnce"
    CANARY_LARGE = "CanaryLarge"
    CANARY_BLIND = "CanaryBlind"
    CANARY_ONE_GATEWAY = "CanaryAtOneGateway"
    NO_SOAK = "NoSoak"
    NO_GATES = "NoHealthGates"
    BUDGET_WIDE = "BudgetWide"
    WINDOW_SHORT = "WindowShort"
    NEVER_OPEN = "WindowsNeverMeet"
    LEAVES_WINDOWS = "LeavesWindows"
    NOT_JUDGED = "NoBuildGates"
    NO_EVIDENCE = "NoEvidence"
    GATEWAY_BEHIND = "GatewayBehind"
    UNSERVED = "Unserved"
    SILENT = "NotReporting"


@dataclass(frozen=True, slots=True)
class Risk:
    """One risk: of what, and in words."""

    code: RiskCode
    about: str
    words: str


def risks(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    desired: Desired,
    before: Desired,
    evidence: ReportedState,
    reach: Reach,
    reviews: Iterable[RolloutReview],
    runs: Mapping[DeviceId, ModelRef],
) -> list[Risk]:
    """Find all risks of a change, rollout by rollout, then those of the fleet."""
    tried = {(ref.name, desired.devices[name].type) for name, ref in runs.items() if name in desired.devices}
    tried |= {(ref.name, kind.name) for kind in desired.types.values() for ref in kind.prebaked}
    found: list[Risk] = []
    for review in reviews:
        if any(wave.touched for wave in review.waves):
            found += _of_model(desired, review, tried)
            found += _of_waves(desired, review)
            found += _of_windows(desired, review)
    return [*found, *_of_fleet(before, evidence, reach)]


def _of_model(desired: Desired, review: RolloutReview, tried: set[tuple[str, TypeId]]) -> Iterator[Risk]:
    rollout = review.rollout
    model = desired.models[rollout.model]
    types = _types(desired, review)
    fresh = sorted(kind for kind in types if (rollout.model.name, kind) not in tried)
    if fresh:
        words = f"no {', '.join(fresh)} is known to have run any version of {rollout.model.name}"
        yield Risk(RiskCode.FIRST_OF_TYPE, rollout.name, words)
    bare = sorted(kind for kind in types if not desired.types[kind].prebaked)
    if bare:
        said = "says `prebaked`, and" if rollout.fallback is Fallback.PREBAKED else f"is `{rollout.fallback}`, and"
        words = f"fallback {said} {', '.join(bare)} has no pre-baked model: a bad model leaves only the previous one"
        yield Risk(RiskCode.NO_FALLBACK, rollout.name, words)
    if not model.gates:
        yield Risk(RiskCode.NOT_JUDGED, rollout.name, f"{model.ref} has no gates: its build is not held to any figure")


def _of_waves(desired: Desired, review: RolloutReview) -> Iterator[Risk]:
    rollout = review.rollout
    waves = [wave for wave in review.waves if wave.members]
    first = waves[0]
    if len(waves) == 1 and len(first.members) > 1:
        words = f"all {len(first.members):,} devices change together: no wave goes first"
        yield Risk(RiskCode.ALL_AT_ONCE, rollout.name, words)
    else:
        share = 100 * len(first.members) / review.devices
        if share > CANARY_PERCENT and len(first.members) > CANARY_FEW:
            words = f"the first wave has {len(first.members):,} of {review.devices:,} devices ({share:.0f} %)"
            yield Risk(RiskCode.CANARY_LARGE, rollout.name, words)
        seen = {desired.devices[name].type for name in first.members}
        blind = sorted(_types(desired, review) - seen)
        if blind:
            yield Risk(RiskCode.CANARY_BLIND, rollout.name, f"the first wave has no {', no '.join(blind)}")
        yield from _of_witnesses(desired, review)
        if not first.soak_s:
            words = f"wave {first.name} is not watched: the next opens when its devices have confirmed"
            yield Risk(RiskCode.NO_SOAK, rollout.name, words)
    if review.allowed >= len(first.members) and review.allowed:
        words = f"{review.allowed:,} may fail, and the first wave has {len(first.members):,}: all of it may"
        yield Risk(RiskCode.BUDGET_WIDE, rollout.name, words)
    if not rollout.gates:
        words = "no health gate: a device counts as done when its golden vectors pass"
        yield Risk(RiskCode.NO_GATES, rollout.name, words)


def _of_witnesses(desired: Desired, review: RolloutReview) -> Iterator[Risk]:
    """Tell where one gateway alone says of the first wave that it went well, and others begin by its word."""
    first, *later = [wave for wave in review.waves if wave.members]
    claims = Claims(desired)
    witnesses = {claims.of(desired.devices[name]).gateway for name in first.members}
    if len(witnesses) > 1:
        return
    others = {claims.of(desired.devices[name]).gateway for wave in later for name in wave.members} - witnesses
    if others:
        (only,) = witnesses
        words = f"the first wave is at {only or 'no gateway'} alone: devices of {len(others):,} more begin by its word"
        yield Risk(RiskCode.CANARY_ONE_GATEWAY, review.rollout.name, words)


def _of_windows(desired: Desired, review: RolloutReview) -> Iterator[Risk]:
    rollout = review.rollout
    if rollout.critical:
        yield Risk(RiskCode.LEAVES_WINDOWS, rollout.name, "it is critical: devices change outside their windows too")
        return
    for wave in review.waves:
        for work in wave.work:
            if work.never:
                words = f"wave {wave.name} can't end on {work.line}: its windows never meet, or are too short"
                yield Risk(RiskCode.NEVER_OPEN, rollout.name, words)
                continue
            longest_s = windows_within_s(desired, rollout, work.line)
            if longest_s is not None and work.work_s > longest_s:
                words = (
                    f"wave {wave.name} needs {work.work_s / HOUR_S:.1f} h on {work.line}, a window is"
                    f" {longest_s / HOUR_S:.1f} h at most: it goes on over {work.openings} windows"
                )
                yield Risk(RiskCode.WINDOW_SHORT, rollout.name, words)


def _of_fleet(before: Desired, evidence: ReportedState, reach: Reach) -> Iterator[Risk]:
    gateways = {each.gateway for each in reach.touched if each.gateway is not None}
    for name in sorted(gateways):
        told = evidence.gateways.get(name)
        if told is None:
            count = sum(each.gateway == name for each in reach.touched)
            words = f"it has committed no status: its {count:,} devices are taken to be where the base wants them"
            yield Risk(RiskCode.NO_EVIDENCE, name, words)
        elif told.commit and before.commit and told.commit != before.commit:
            words = f"it enforces {told.commit[:12]}, not the base {before.commit[:12]} ({told.ready}: {told.message})"
            yield Risk(RiskCode.GATEWAY_BEHIND, name, words)
    unserved = sum(each.gateway is None for each in reach.touched)
    if unserved:
        yield Risk(RiskCode.UNSERVED, "fleet", f"{unserved:,} touched devices are served by no gateway")
    silent = sum(_silent(each.action) for each in reach.touched if each.gateway in evidence.gateways)
    if silent:
        words = f"{silent:,} touched devices are not reporting: beyond the failure budget they keep a wave from ending"
        yield Risk(RiskCode.SILENT, "fleet", words)


def _silent(action: object) -> bool:
    return isinstance(action, Blocked) and BlockedReason.SILENT in {action.reason, *action.also}


def _types(desired: Desired, review: RolloutReview) -> set[TypeId]:
    return {desired.devices[name].type for wave in review.waves for name in wave.touched}
