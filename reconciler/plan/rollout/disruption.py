# SPDX-License-Identifier: Apache-2.0
"""The disruption budget: how many devices may be at risk at once, and how many of a group may be away.

Both rules count the devices that have begun and, besides, every device that comes earlier in the common order
and has yet to begin. Two gateways that know different pasts of each other therefore never begin too many
devices together (docs/rollouts.md has the proof).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING

from reconciler.model import Device, DeviceId, HoldReason, MinAvailable, Rollout
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.rollout.holds import HoldCause
from reconciler.plan.rollout.progress import RolloutProgress
from reconciler.plan.rollout.waves import share

NO_HOLDS: Mapping[DeviceId, HoldCause] = {}


def disruption_holds(
    rollout: Rollout, devices: Iterable[Device], verdicts: Mapping[DeviceId, DeviceVerdict], progress: RolloutProgress
) -> Mapping[DeviceId, HoldCause]:
    """Find the devices of open waves that must not begin yet. A device that has begun is not affected."""
    if progress.stopped or progress.complete:
        return NO_HOLDS
    tallies = progress.tallies[: progress.opened]
    # This gateway knows at once when one of its own devices comes back, and counts it then. Of a peer's device it
    # learns only later, so a missing device keeps its turn as soon as peers take part.
    alone = not any(tally.peers for tally in tallies)
    due = [device for tally in tallies for device in (tally.due if alone else tally.due_or_missing)]
    held = _at_risk_holds(rollout, due, progress)
    if rollout.min_available:
        everyone = list(devices)
        for rule in rollout.min_available:
            held = {**_min_available_holds(rule, everyone, due, verdicts), **held}
    return held


def max_at_risk(rollout: Rollout, progress: RolloutProgress) -> int | None:
    """Return how many devices may be at risk at once; None if only the waves limit them.

    With a failure budget of n, failure n + 1 stops the rollout. So as long as the devices that failed and those
    that may still fail are n + 1 at most, no more than n + 1 can fail.
    """
    if rollout.max_at_risk is not None:
        return rollout.max_at_risk
    if rollout.failure_budget.count is None and rollout.failure_budget.percent is None:
        return None
    return progress.allowed + 1 - progress.failed


def _at_risk_holds(rollout: Rollout, due: Sequence[DeviceId], progress: RolloutProgress) -> dict[DeviceId, HoldCause]:
    limit = max_at_risk(rollout, progress)
    if limit is None:
        return {}
    free = max(0, limit - progress.at_risk)
    if len(due) <= free:
        return {}
    why = f"waiting for its turn: rollout {rollout.name} puts at most {limit} devices at risk at once"
    return dict.fromkeys(due[free:], HoldCause(HoldReason.AT_RISK, why))


def _min_available_holds(
    rule: MinAvailable, devices: Sequence[Device], due: Sequence[DeviceId], verdicts: Mapping[DeviceId, DeviceVerdict]
) -> dict[DeviceId, HoldCause]:
    """Hold the devices that would leave too few of their group available."""
    group_of = {device.name: device.labels[rule.label] for device in devices if rule.label in device.labels}
    size: dict[str, int] = defaultdict(int)
    away: dict[str, int] = defaultdict(int)
    for name, group in group_of.items():
        size[group] += 1
        away[group] += verdicts[name].away
    held = {}
    for name in due:
        if name not in group_of or verdicts[name].away:
            continue  # a device that is away already is counted
        group = group_of[name]
        needed = _needed(rule, size[group])
        away[group] += 1
        if away[group] > size[group] - needed:
            held[name] = _min_available_cause(rule, group, size[group], needed)
    return held


def _needed(rule: MinAvailable, size: int) -> int:
    if rule.count is not None:
        return rule.count
    return share(rule.percent or 0, size, ROUND_CEILING)


def _min_available_cause(rule: MinAvailable, group: str, size: int, needed: int) -> HoldCause:
    message = (
        f"waiting for others of its group; at least {needed} of the {size} devices "
        f"with {rule.label}={group} must stay available"
    )
    never = ", so none can ever be updated: correct minAvailable in Git" if needed >= size else ""
    return HoldCause(HoldReason.MIN_AVAILABLE, f"{message}{never}")
