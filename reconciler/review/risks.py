# SPDX-License-Identifier: Apache-2.0
"""The risks of a change, which a reviewer should check twice. A risk may be intended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model import Blocked, BlockedReason, Desired, DeviceId, Fallback, ModelRef, ProposalMode, TypeId
from reconciler.plan.claims import Claims
from reconciler.review.affected_devices import Impact
from reconciler.review.forecast import RolloutReview, windows_within_s
from reconciler.review.formatting import counted, short
from reconciler.review.reported_state import ReportedState

MAX_CANARY_PERCENT = 10  # of a rollout's devices; a larger first wave is a risk
SMALL_CANARY = 5  # devices; a first wave of this size is never too large
HOUR_S = 3600


class RiskCode(StrEnum):
    """The kinds of risk; docs/review.md has the remedy for each."""

    FIRST_OF_TYPE = "FirstOfItsType"
    NO_FALLBACK = "NoFallback"
    ALL_AT_ONCE = "AllAtOnce"
    CANARY_LARGE = "CanaryLarge"
    CANARY_LACKS_TYPE = "CanaryLacksType"
    CANARY_ONE_GATEWAY = "CanaryAtOneGateway"
    NO_SOAK = "NoSoak"
    NO_GATES = "NoHealthGates"
    BUDGET_WIDE = "BudgetWide"
    WINDOW_SHORT = "WindowShort"
    WINDOWS_DISJOINT = "WindowsNeverOverlap"
    IGNORES_WINDOWS = "IgnoresWindows"
    NO_BUILD_GATES = "NoBuildGates"
    NO_STATUS = "NoStatus"
    GATEWAY_BEHIND = "GatewayBehind"
    PROPOSES_DIRECTLY = "ProposesDirectly"
    UNSERVED = "Unserved"
    SILENT = "NotReporting"


@dataclass(frozen=True, slots=True)
class Risk:
    """One risk of one rollout, gateway or fleet."""

    code: RiskCode
    subject: str
    message: str


def risks(  # noqa: PLR0913, PLR0917 - one parameter for each dependency
    desired: Desired,
    before: Desired,
    reported: ReportedState,
    impact: Impact,
    reviews: Iterable[RolloutReview],
    models: Mapping[DeviceId, ModelRef],
) -> list[Risk]:
    """Return the risks of a change: of each rollout, of contests, then of the fleet."""
    tried = {(ref.name, desired.devices[name].type) for name, ref in models.items() if name in desired.devices}
    tried |= {(ref.name, kind.name) for kind in desired.types.values() for ref in kind.prebaked}
    found: list[Risk] = []
    for review in reviews:
        if any(wave.affected for wave in review.waves):
            found += _of_model(desired, review, tried)
            found += _of_waves(desired, review)
            found += _of_windows(desired, review)
    return [*found, *_of_contests(before, desired), *_of_fleet(before, reported, impact)]


def _of_model(desired: Desired, review: RolloutReview, tried: set[tuple[str, TypeId]]) -> Iterator[Risk]:
    rollout = review.rollout
    model = desired.models[rollout.model]
    types = _types(desired, review)
    untried = sorted(kind for kind in types if (rollout.model.name, kind) not in tried)
    if untried:
        message = f"no device of type {', '.join(untried)} is known to have run any version of {rollout.model.name}"
        yield Risk(RiskCode.FIRST_OF_TYPE, rollout.name, message)
    without = sorted(kind for kind in types if not desired.types[kind].prebaked)
    if without:
        policy = "prebaked" if rollout.fallback is Fallback.PREBAKED else rollout.fallback
        message = (
            f"the fallback is `{policy}`, but {', '.join(without)} has no pre-baked model:"
            " after a bad model, only the previous one is left"
        )
        yield Risk(RiskCode.NO_FALLBACK, rollout.name, message)
    if not model.gates:
        yield Risk(
            RiskCode.NO_BUILD_GATES, rollout.name, f"{model.ref} has no gates: nothing limits the quality of its build"
        )


def _of_waves(desired: Desired, review: RolloutReview) -> Iterator[Risk]:
    rollout = review.rollout
    waves = [wave for wave in review.waves if wave.members]
    first = waves[0]
    if len(waves) == 1 and len(first.members) > 1:
        message = f"all {len(first.members):,} devices change together: there is no canary"
        yield Risk(RiskCode.ALL_AT_ONCE, rollout.name, message)
    else:
        share = 100 * len(first.members) / review.devices
        if share > MAX_CANARY_PERCENT and len(first.members) > SMALL_CANARY:
            message = f"the first wave has {len(first.members):,} of {review.devices:,} devices ({share:.0f} %)"
            yield Risk(RiskCode.CANARY_LARGE, rollout.name, message)
        seen = {desired.devices[name].type for name in first.members}
        missing = sorted(_types(desired, review) - seen)
        if missing:
            yield Risk(
                RiskCode.CANARY_LACKS_TYPE, rollout.name, f"the first wave has no device of type {', '.join(missing)}"
            )
        yield from _of_canary_gateways(desired, review)
        if not first.soak_s:
            message = f"wave {first.name} has no soak: the next wave opens as soon as its devices have confirmed"
            yield Risk(RiskCode.NO_SOAK, rollout.name, message)
    if review.allowed_failures >= len(first.members) and review.allowed_failures:
        message = (
            f"the budget allows {review.allowed_failures:,} failures,"
            f" and the first wave has {len(first.members):,} devices: all of them may fail"
        )
        yield Risk(RiskCode.BUDGET_WIDE, rollout.name, message)
    if not rollout.gates:
        message = "no health gates: a device counts as done when its golden vectors pass"
        yield Risk(RiskCode.NO_GATES, rollout.name, message)


def _of_canary_gateways(desired: Desired, review: RolloutReview) -> Iterator[Risk]:
    """Report a first wave at one gateway when devices of other gateways depend on that gateway's report."""
    first, *later = [wave for wave in review.waves if wave.members]
    claims = Claims(desired)
    canary_gateways = {claims.of(desired.devices[name]).gateway for name in first.members}
    if len(canary_gateways) > 1:
        return
    others = {claims.of(desired.devices[name]).gateway for wave in later for name in wave.members} - canary_gateways
    if others:
        (only,) = canary_gateways
        message = (
            f"the first wave is at {only or 'no gateway'} only:"
            f" devices of {counted(len(others), 'other gateway')} start on its report"
        )
        yield Risk(RiskCode.CANARY_ONE_GATEWAY, review.rollout.name, message)


def _of_windows(desired: Desired, review: RolloutReview) -> Iterator[Risk]:
    rollout = review.rollout
    if rollout.critical:
        yield Risk(
            RiskCode.IGNORES_WINDOWS,
            rollout.name,
            "the rollout is critical: devices change outside their maintenance windows too",
        )
        return
    for wave in review.waves:
        for work in wave.work:
            if work.never:
                message = f"wave {wave.name} cannot end on {work.line}: its windows never overlap, or are too short"
                yield Risk(RiskCode.WINDOWS_DISJOINT, rollout.name, message)
                continue
            longest_s = windows_within_s(desired, rollout, work.line)
            if longest_s is not None and work.work_s > longest_s:
                message = (
                    f"wave {wave.name} needs {work.work_s / HOUR_S:.1f} h on {work.line}, but the longest window has"
                    f" {longest_s / HOUR_S:.1f} h: the wave takes {work.windows} windows"
                )
                yield Risk(RiskCode.WINDOW_SHORT, rollout.name, message)


def _of_contests(before: Desired, desired: Desired) -> Iterator[Risk]:
    """Report contests that begin to change their rollout without a person."""
    for name, contest in sorted(desired.contests.items()):
        earlier = before.contests.get(name)
        was_direct = earlier is not None and earlier.propose is ProposalMode.DIRECT
        if contest.propose is ProposalMode.DIRECT and not was_direct:
            message = f"its gateway may change the model of rollout {contest.rollout} without a person"
            yield Risk(RiskCode.PROPOSES_DIRECTLY, name, message)


def _of_fleet(before: Desired, reported: ReportedState, impact: Impact) -> Iterator[Risk]:
    gateways = {each.gateway for each in impact.affected if each.gateway is not None}
    for name in sorted(gateways):
        report = reported.gateways.get(name)
        if report is None:
            count = sum(each.gateway == name for each in impact.affected)
            message = f"the gateway has committed no status: its {counted(count, 'device')} count as matching the base"
            yield Risk(RiskCode.NO_STATUS, name, message)
        elif report.commit and before.commit and report.commit != before.commit:
            enforced = f"enforces {short(report.commit)}, not the base {short(before.commit)}"
            message = f"the gateway {enforced} ({report.ready}: {report.message})"
            yield Risk(RiskCode.GATEWAY_BEHIND, name, message)
    unserved = sum(each.gateway is None for each in impact.affected)
    if unserved:
        yield Risk(RiskCode.UNSERVED, "fleet", f"no gateway serves {counted(unserved, 'affected device')}")
    silent = sum(_silent(each.action) for each in impact.affected if each.gateway in reported.gateways)
    if silent:
        message = (
            f"affected devices not reporting: {silent:,}; above the failure budget they keep a wave from completing"
        )
        yield Risk(RiskCode.SILENT, "fleet", message)


def _silent(action: object) -> bool:
    return isinstance(action, Blocked) and BlockedReason.SILENT in {action.reason, *action.also}


def _types(desired: Desired, review: RolloutReview) -> set[TypeId]:
    return {desired.devices[name].type for wave in review.waves for name in wave.affected}
