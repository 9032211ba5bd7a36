# SPDX-License-Identifier: Apache-2.0
"""What holds a rollout's devices: suspension, other rollouts, the failure budget, waves and windows, in this order.

Between waves and windows come the places at risk and in a group (places.py), and the rest of devices that flap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Cant,
    Configure,
    Desired,
    GatewayId,
    Hold,
    HoldReason,
    Install,
    Nothing,
    Rollout,
    RolloutId,
)
from reconciler.plan.holding import Holding
from reconciler.plan.progress import Progress
from reconciler.plan.verdict import Standing, Verdict
from reconciler.plan.waves import Step
from reconciler.plan.windows import OPEN, Door, door

Change = Install | ActivatePrebaked | Configure


class Doors:
    """The windows of one rollout, gateway by gateway."""

    def __init__(self, desired: Desired, rollout: Rollout, now: datetime) -> None:
        self._desired = desired
        self._rollout = rollout
        self._now = now
        self._known: dict[GatewayId | None, Door] = {}

    def of(self, gateway: GatewayId | None) -> Door:
        """Judge the gateway's windows and the rollout's; the fleet's, where neither has any."""
        if self._rollout.critical:
            return OPEN
        known = self._known.get(gateway)
        if known is None:
            theirs = self._desired.gateways[gateway].windows if gateway is not None else ()
            sets = (theirs, self._rollout.windows)
            known = door(sets if any(sets) else (self._desired.fleet.windows,), self._now)
            self._known[gateway] = known
        return known

    @property
    def until(self) -> datetime | None:
        """Tell when the first of the windows looked at opens or closes."""
        return min((each.until for each in self._known.values() if each.until is not None), default=None)


def standing_order(rollout: Rollout, incomplete: Iterable[RolloutId]) -> Holding | None:
    """Find what holds all devices of a rollout, whatever their wave."""
    if rollout.suspend:
        return Holding(HoldReason.SUSPENDED, f"rollout {rollout.name} is suspended")
    waits_for = sorted(set(rollout.depends_on).intersection(incomplete))
    if waits_for:
        names = ", ".join(waits_for)
        return Holding(HoldReason.DEPENDS_ON, f"rollout {rollout.name} begins when {names} is complete")
    return None


def step_holdings(
    rollout: Rollout, steps: tuple[Step, ...], progress: Progress, *, taken_back: bool = False
) -> list[Holding | None]:
    """Find what holds the devices of each step: a spent budget all of them, else the wave before."""
    if progress.stopped:
        reason = HoldReason.TAKEN_BACK if taken_back else HoldReason.BUDGET
        words = f"rollout {rollout.name} {progress.stopped}{', and is taken back' if taken_back else ''}"
        return [Holding(reason, words)] * len(steps)
    holdings: list[Holding | None] = [None] * min(progress.opened, len(steps))
    for index in range(progress.opened, len(steps)):
        why = f"in wave {index + 1} of {len(steps)} ({steps[index].name}); waits for {progress.waiting}"
        holdings.append(Holding(HoldReason.WAVE, why))
    return holdings


def closed(rollout: Rollout, through: Door) -> Holding | None:
    """Say that the windows are closed, and when they open."""
    if through.is_open:
        return None
    if through.opens_at is None:
        why = f"the windows of its gateway and of rollout {rollout.name} are never open together"
    else:
        why = f"outside its windows; the next opens {through.opens_at.astimezone(UTC):%a %Y-%m-%d %H:%M UTC}"
    return Holding(HoldReason.WINDOW, why)


def gate(
    verdict: Verdict, rollout: Rollout, holding: Holding | None, gateway: GatewayId | None, doors: Doors
) -> Action:
    """Let a device's change through, or hold it. What changes nothing passes always."""
    action = verdict.action
    if isinstance(action, Nothing | Cant | Hold):
        return action
    return let_through(action, rollout, holding, gateway, doors)


def let_through(
    action: Change, rollout: Rollout, holding: Holding | None, gateway: GatewayId | None, doors: Doors
) -> Action:
    """Hold a change for the reason given, else for a closed window."""
    if holding is None:
        holding = closed(rollout, doors.of(gateway))
    return action if holding is None else holding.hold(action.device, rollout.name)


def is_stand_in(verdict: Verdict) -> bool:
    """Tell whether this is a fallback or the way back: it makes nothing new run, so no wave or budget counts it."""
    if verdict.standing is Standing.FAILED:
        return isinstance(verdict.action, ActivatePrebaked | Install | Configure)
    return isinstance(verdict.action, ActivatePrebaked) and verdict.standing is Standing.OUT
