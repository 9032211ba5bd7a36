# SPDX-License-Identifier: Apache-2.0
"""The devices that a change affects, and what would happen to each if nothing held it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    Configure,
    Desired,
    DeviceId,
    FailureBudget,
    GatewayId,
    Hold,
    Install,
    Model,
    NoChange,
    Observed,
    OnFailure,
    Parameters,
    RolloutId,
)
from reconciler.plan import detailed_plan
from reconciler.plan.claims import Claims

NO_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class AffectedDevice:
    """One device that the change affects."""

    device: DeviceId
    rollout: RolloutId | None
    gateway: GatewayId | None
    action: Action


@dataclass(frozen=True, slots=True)
class Impact:
    """The devices that a change affects, and counts of those that it does not."""

    affected: tuple[AffectedDevice, ...]
    pending: int  # have not reached the desired state of the base; the change makes no difference
    unclaimed: int  # no rollout selects them
    unserved: int  # no gateway serves them


@dataclass(frozen=True, slots=True)
class _DesiredModel:
    """The part of the desired state that a device itself sees."""

    model: Model | None
    parameters: Parameters
    prebaked: tuple[object, ...]


def impact_of(
    before: Desired, observed_before: Observed, after: Desired, observed_after: Observed, now: datetime
) -> Impact:
    """Compare what each of two commits would do to each device."""
    claims_before, claims = Claims(before), Claims(after)
    old = {action.device: action for action in unheld(before, observed_before, now)}
    affected: list[AffectedDevice] = []
    pending = unclaimed = unserved = 0
    for action in unheld(after, observed_after, now):
        device = after.devices.get(action.device)
        if device is None:
            continue
        claim = claims.of(device)
        unclaimed += claim.rollout is None
        unserved += claim.gateway is None
        if isinstance(action, NoChange) and not isinstance(
            old.get(device.name), Install | Configure | ActivatePrebaked
        ):
            continue
        earlier = before.devices.get(device.name)
        desired = _desired(after, claim.rollout, device.name)
        desired_before = (
            _desired(before, claims_before.of(earlier).rollout, device.name) if earlier is not None else None
        )
        if desired != desired_before or _substance(action) != _substance(old.get(device.name)):
            affected.append(AffectedDevice(device.name, claim.rollout, claim.gateway, action))
        elif not isinstance(action, NoChange):
            pending += 1
    return Impact(tuple(affected), pending, unclaimed, unserved)


def unheld(desired: Desired, observed: Observed, now: datetime) -> tuple[Action, ...]:
    """Plan as if no wave, window, budget, suspension or other rollout held anything."""
    rollouts = {
        name: replace(
            rollout,
            waves=(),
            gates=(),
            failure_budget=FailureBudget(count=NO_LIMIT),
            max_at_risk=NO_LIMIT,
            on_failure=OnFailure.STOP,
            min_available=(),
            windows=(),
            critical=True,
            suspend=False,
            depends_on=(),
        )
        for name, rollout in desired.rollouts.items()
    }
    return detailed_plan(replace(desired, rollouts=rollouts), observed, now).actions


def _desired(desired: Desired, name: RolloutId | None, device: DeviceId) -> _DesiredModel:
    kind = desired.types[desired.devices[device].type]
    if name is None:
        return _DesiredModel(None, {}, kind.prebaked)
    rollout = desired.rollouts[name]
    model = desired.models[rollout.model]
    return _DesiredModel(model, {**model.parameters, **rollout.parameters}, kind.prebaked)


def _substance(action: Action | None) -> Mapping[str, object]:
    """Return what an action does, without its message."""
    match action:
        case Install(model=model, parameters=parameters):
            return {"install": model, "parameters": dict(parameters)}
        case ActivatePrebaked(model=model, parameters=parameters):
            return {"prebaked": model, "parameters": dict(parameters)}
        case Configure(parameters=parameters):
            return {"parameters": dict(parameters)}
        case Blocked(reason=why) | Hold(reason=why):
            return {"reason": why}
        case NoChange() | None:
            return {}
