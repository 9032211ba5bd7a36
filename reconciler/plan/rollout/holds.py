# SPDX-License-Identifier: Apache-2.0
"""What holds the devices of a rollout: suspension, other rollouts, its failure budget, its waves, its windows.

The first that applies, in this order, gives the reason. Between waves and windows come the disruption budget
(disruption.py) and the pause of devices that flap (plan/device/flapping.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.model import Desired, DeviceId, GatewayId, Hold, HoldReason, Rollout, RolloutId
from reconciler.plan.rollout.progress import RolloutProgress
from reconciler.plan.rollout.waves import WaveStep
from reconciler.plan.rollout.windows import OPEN, WindowState, window_state


@dataclass(frozen=True, slots=True)
class HoldCause:
    """A reason to hold devices, and a message about it."""

    reason: HoldReason
    why: str

    def hold(self, device: DeviceId, rollout: RolloutId) -> Hold:
        """Make the action of a device that is held for this cause."""
        return Hold(device, rollout, self.reason, self.why)


class RolloutWindows:
    """The maintenance windows of one rollout, for each gateway."""

    def __init__(self, desired: Desired, rollout: Rollout, now: datetime) -> None:
        self._desired = desired
        self._rollout = rollout
        self._now = now
        self._known: dict[GatewayId | None, WindowState] = {}

    def state_at(self, gateway: GatewayId | None) -> WindowState:
        """Evaluate the windows of the gateway and of the rollout; those of the fleet if neither has any."""
        if self._rollout.critical:
            return OPEN
        known = self._known.get(gateway)
        if known is None:
            of_gateway = self._desired.gateways[gateway].windows if gateway is not None else ()
            sets = (of_gateway, self._rollout.windows)
            known = window_state(sets if any(sets) else (self._desired.fleet.windows,), self._now)
            self._known[gateway] = known
        return known

    @property
    def until(self) -> datetime | None:
        """The first time at which a window that was evaluated opens or closes."""
        return min((each.until for each in self._known.values() if each.until is not None), default=None)


def rollout_hold(rollout: Rollout, incomplete: Iterable[RolloutId]) -> HoldCause | None:
    """Find what holds all devices of a rollout, in any wave. `incomplete` are the rollouts that are not complete."""
    if rollout.suspend:
        return HoldCause(HoldReason.SUSPENDED, f"rollout {rollout.name} is suspended")
    blockers = sorted(set(rollout.depends_on).intersection(incomplete))
    if blockers:
        names = ", ".join(blockers)
        return HoldCause(HoldReason.DEPENDS_ON, f"rollout {rollout.name} begins when {names} is complete")
    return None


def wave_holds(
    rollout: Rollout, steps: tuple[WaveStep, ...], progress: RolloutProgress, *, rolled_back: bool = False
) -> list[HoldCause | None]:
    """Find what holds each wave: a spent failure budget holds them all, else a wave waits for the one before it."""
    if progress.stopped:
        reason = HoldReason.ROLLED_BACK if rolled_back else HoldReason.BUDGET
        message = f"rollout {rollout.name} {progress.stopped}{', and is rolled back' if rolled_back else ''}"
        return [HoldCause(reason, message)] * len(steps)
    holds: list[HoldCause | None] = [None] * min(progress.opened, len(steps))
    for index in range(progress.opened, len(steps)):
        message = f"in wave {index + 1} of {len(steps)} ({steps[index].name}), waiting for {progress.waiting}"
        holds.append(HoldCause(HoldReason.WAVE, message))
    return holds


def window_hold(rollout: Rollout, state: WindowState) -> HoldCause | None:
    """Find whether the windows hold a device, and until when."""
    if state.is_open:
        return None
    if state.opens_at is None:
        message = f"the windows of its gateway and of rollout {rollout.name} are never open together"
    else:
        message = (
            f"outside its maintenance windows; the next opens {state.opens_at.astimezone(UTC):%a %Y-%m-%d %H:%M UTC}"
        )
    return HoldCause(HoldReason.WINDOW, message)
