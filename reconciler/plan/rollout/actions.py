# SPDX-License-Identifier: Apache-2.0
"""The actions of the devices of one rollout: each device's own action, unless something holds it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    Configure,
    Desired,
    DeviceId,
    GatewayId,
    Hold,
    HoldReason,
    Install,
    NoChange,
    Rollout,
    RolloutId,
)
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
    rollback_of,
)
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout.holds import HoldCause, RolloutWindows, rollout_hold, wave_holds, window_hold


@dataclass(frozen=True, slots=True)
class RolloutActions:
    """The actions of the devices of a rollout, and the time until which they stay valid."""

    actions: dict[DeviceId, Action]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What the holds of a rollout depend on besides its own devices."""

    desired: Desired
    incomplete: Collection[RolloutId]
    gateways: Mapping[DeviceId, GatewayId | None]
    now: datetime


def rollout_actions(
    rollout: Rollout, evaluation: RolloutEvaluation, verdicts: Mapping[DeviceId, DeviceVerdict], context: PlanContext
) -> RolloutActions:
    """Decide for each device of a rollout whether its action proceeds or is held."""
    holds = _Holds(rollout, evaluation, context)
    actions: dict[DeviceId, Action] = {}
    for device, verdict in verdicts.items():
        if evaluation.rolled_back and (rollback := rollback_of(verdict)) is not None:
            actions[device] = holds.apply(rollback, holds.for_all)
            continue
        match verdict:
            case SettledDevice() | MissingDevice():
                actions[device] = verdict.action  # it changes nothing, so there is nothing to hold
            case DueDevice():
                actions[device] = holds.apply(verdict.action, holds.for_due(device, verdict))
            case FailedDevice() | OutDevice():
                # A fallback or a rollback makes nothing new run, so neither waves nor budgets apply to it.
                actions[device] = holds.apply(verdict.action, holds.for_all)
    return RolloutActions(actions, earliest(holds.windows.until, evaluation.progress.until))


class _Holds:
    """What holds the devices of one rollout."""

    def __init__(self, rollout: Rollout, evaluation: RolloutEvaluation, context: PlanContext) -> None:
        self.windows = RolloutWindows(context.desired, rollout, context.now)
        self.for_all = rollout_hold(rollout, context.incomplete)
        self._rollout = rollout
        self._gateways = context.gateways
        self._disruption = evaluation.disruption_holds
        waves = wave_holds(rollout, evaluation.steps, evaluation.progress, rolled_back=evaluation.rolled_back)
        self._of_wave = {
            device: hold for step, hold in zip(evaluation.steps, waves, strict=True) for device in step.members
        }

    def for_due(self, device: DeviceId, verdict: DueDevice) -> HoldCause | None:
        """Find what holds a device that has yet to be updated, besides windows."""
        hold = self.for_all or self._of_wave.get(device) or self._disruption.get(device)
        if hold is None and verdict.paused:
            return HoldCause(HoldReason.FLAPPING, verdict.paused)
        return hold

    def apply(self, action: Action, hold: HoldCause | None) -> Action:
        """Replace a change by a hold, for the cause given or else a closed window. All else passes."""
        match action:
            case NoChange() | Blocked() | Hold():
                return action
            case Install() | ActivatePrebaked() | Configure():
                if hold is None:
                    hold = window_hold(self._rollout, self.windows.state_at(self._gateways[action.device]))
                return action if hold is None else hold.hold(action.device, self._rollout.name)


def earliest(*times: datetime | None) -> datetime | None:
    """Return the earliest of several times; None means never."""
    return min((time for time in times if time is not None), default=None)
