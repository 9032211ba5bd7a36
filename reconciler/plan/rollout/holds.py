# SPDX-License-Identifier: Apache-2.0
"""What holds a rollout's devices: suspension, other rollouts, the failure budget, waves and windows, in this order.

Between waves and windows come the places at risk and in a group (places.py), and the rest of devices that flap.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from reconciler.model import Action, ActivatePrebaked, Blocked, Configure, Desired, GatewayId, Hold, HoldReason, Install, NoChange, Rollout, RolloutId
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict
from reconciler.plan.rollout.hold import HoldCause
from reconciler.plan.rollout.progress import RolloutProgress
from reconciler.plan.rollout.waves import WaveStep
from reconciler.plan.rollout.windows import OPEN, WindowState, window_state

Change = Install | ActivatePrebaked | Configure


class RolloutWindows:
    """The windows of one rollout, gateway by gateway."""

    def __init__(self, desired: Desired, rollout: Rollout, now: datetime) -> None:
        self._desired = desired
        self._rollout = rollout
        self._now = now
        self._known: dict[GatewayId | None, WindowState] = {}

    def of(self, gateway: GatewayId | None) -> WindowState:
        """Judge the gateway's windows and the rollout's; the fleet's, where neither has any."""
        if self._rollout.critical:
            return OPEN
        known = self._known.get(gateway)
        if known is None:
            theirs = self._desired.gateways[gateway].windows if gateway is not None else ()
            sets = (theirs, self._rollout.windows)
            known = window_state(sets if any(sets) else (self._desired.fleet.windows,), self._now)
            self._known[gateway] = known
        return known

    @property
    def until(self) -> datetime | None:
        """Tell when the first of the windows looked at opens or closes."""
        return min((each.until for each in self._known.values() if each.until is not None), default=None)


def hold_all(rollout: Rollout, incomplete: Iterable[RolloutId]) -> HoldCause | None:
    """Find what holds all devices of a rollout, whatever their wave."""
    if rollout.suspend:
        return HoldCause(HoldReason.SUSPENDED, f"rollout {rollout.name} is suspended")
    waits_for = sorted(set(rollout.depends_on).intersection(incomplete))
    if waits_for:
        names = ", ".join(waits_for)
        return HoldCause(HoldReason.DEPENDS_ON, f"rollout {rollout.name} begins when {names} is complete")
    return None


def step_holdings(
    rollout: Rollout, steps: tuple[WaveStep, ...], progress: RolloutProgress, *, rolled_back: bool = False
) -> list[HoldCause | None]:
    """Find what holds the devices of each step: a spent budget all of them, else the wave before."""
    if progress.stopped:
        reason = HoldReason.ROLLED_BACK if rolled_back else HoldReason.BUDGET
        words = f"rollout {rollout.name} {progress.stopped}{', and is taken back' if rolled_back else ''}"
        return [HoldCause(reason, words)] * len(steps)
    holdings: list[HoldCause | None] = [None] * min(progress.opened, len(steps))
    for index in range(progress.opened, len(steps)):
        why = f"in wave {index + 1} of {len(steps)} ({steps[index].name}); waits for {progress.waiting}"
        holdings.append(HoldCause(HoldReason.WAVE, why))
    return holdings


def closed(rollout: Rollout, through: WindowState) -> HoldCause | None:
    """Say that the windows are closed, and when they open."""
    if through.is_open:
        return None
    if through.opens_at is None:
        why = f"the windows of its gateway and of rollout {rollout.name} are never open together"
    else:
        why = f"outside its windows; the next opens {through.opens_at.astimezone(UTC):%a %Y-%m-%d %H:%M UTC}"
    return HoldCause(HoldReason.WINDOW, why)


def apply_holds(
    verdict: DeviceVerdict,
    rollout: Rollout,
    holding: HoldCause | None,
    gateway: GatewayId | None,
    doors: RolloutWindows,
) -> Action:
    """Let a device's change through, or hold it. What changes nothing passes always."""
    action = verdict.action
    if isinstance(action, NoChange | Blocked | Hold):
        return action
    return let_through(action, rollout, holding, gateway, doors)


def let_through(
    action: Change, rollout: Rollout, holding: HoldCause | None, gateway: GatewayId | None, doors: RolloutWindows
) -> Action:
    """Hold a change for the reason given, else for a closed window."""
    if holding is None:
        holding = closed(rollout, doors.of(gateway))
    return action if holding is None else holding.hold(action.device, rollout.name)


def is_fallback(verdict: DeviceVerdict) -> bool:
    """Tell whether this is a fallback or the way back: it makes nothing new run, so no wave or budget counts it."""
    if verdict.standing is DeviceStanding.FAILED:
        return isinstance(verdict.action, ActivatePrebaked | Install | Configure)
    return isinstance(verdict.action, ActivatePrebaked) and verdict.standing is DeviceStanding.OUT
