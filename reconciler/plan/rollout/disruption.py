# SPDX-License-Identifier: Apache-2.0
"""Who may begin now: no more devices at risk than the budget can bear, and no more of a group away than it can spare.

Both count, besides who has begun, everybody who comes earlier in the common order and has yet to begin. So two gateways
that know different pasts of each other never begin too many together (docs/rollouts.md has the proof).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_CEILING

from reconciler.model import Device, DeviceId, HoldReason, MinAvailable, Rollout
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.rollout.hold import HoldCause
from reconciler.plan.rollout.progress import RolloutProgress
from reconciler.plan.rollout.waves import share

NOBODY: Mapping[DeviceId, HoldCause] = {}


def withheld(
    rollout: Rollout, devices: Iterable[Device], verdicts: Mapping[DeviceId, DeviceVerdict], progress: RolloutProgress
) -> Mapping[DeviceId, HoldCause]:
    """Name those of the open waves that must not begin yet, and why. Who has begun goes on."""
    if progress.stopped or progress.complete:
        return NOBODY
    tallies = progress.tallies[: progress.opened]
    # Of our own devices we know at once when they come back, and count them then; of others' only later.
    alone = not any(tally.elsewhere for tally in tallies)
    due = [name for tally in tallies for name in (tally.due if alone else tally.due_or_missing)]
    held = _at_risk(rollout, due, progress)
    if rollout.min_available:
        everybody = list(devices)
        for rule in rollout.min_available:
            held = {**_unavailable(rule, everybody, due, verdicts), **held}
    return held


def bearable(rollout: Rollout, progress: RolloutProgress) -> int | None:
    """Say how many devices may be at risk at once; None: the waves alone limit them.

    With a budget of n failures the one above n stops the rollout, so n + 1 that fail or may fail are as many as can be.
    """
    if rollout.max_at_risk is not None:
        return rollout.max_at_risk
    if rollout.budget.count is None and rollout.budget.percent is None:
        return None
    return progress.allowed + 1 - progress.failed


def _at_risk(rollout: Rollout, due: Sequence[DeviceId], progress: RolloutProgress) -> dict[DeviceId, HoldCause]:
    limit = bearable(rollout, progress)
    if limit is None:
        return {}
    places = max(0, limit - progress.at_risk)
    if len(due) <= places:
        return {}
    why = f"waits for its turn: rollout {rollout.name} puts at most {limit} devices at risk at once"
    return dict.fromkeys(due[places:], HoldCause(HoldReason.AT_RISK, why))


def _unavailable(
    rule: MinAvailable, devices: Sequence[Device], due: Sequence[DeviceId], verdicts: Mapping[DeviceId, DeviceVerdict]
) -> dict[DeviceId, HoldCause]:
    """Hold those by which too many of a group would be away."""
    group_of = {device.name: device.labels[rule.label] for device in devices if rule.label in device.labels}
    size: dict[str, int] = defaultdict(int)
    away: dict[str, int] = defaultdict(int)
    for name, group in group_of.items():
        size[group] += 1
        away[group] += verdicts[name].away
    held = {}
    for name in due:
        if name not in group_of or verdicts[name].away:
            continue  # who is away already is counted
        group = group_of[name]
        need = _needed(rule, size[group])
        away[group] += 1
        if away[group] > size[group] - need:
            held[name] = _group_holding(rule, group, size[group], need)
    return held


def _needed(rule: MinAvailable, size: int) -> int:
    if rule.count is not None:
        return rule.count
    return share(rule.percent or 0, size, ROUND_CEILING)


def _group_holding(rule: MinAvailable, group: str, size: int, need: int) -> HoldCause:
    words = f"of the {size} devices with {rule.label}={group} at least {need} must work"
    never = f"; {words}, so none can ever be updated: a mistake in Git" if need >= size else f"; {words}"
    return HoldCause(HoldReason.MIN_AVAILABLE, f"waits for others of its group{never}")
