# SPDX-License-Identifier: Apache-2.0
"""Which devices a change touches, and what would be done to each if nothing held it."""

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
    """One device that the change concerns."""

    device: DeviceId
    rollout: RolloutId | None
    gateway: GatewayId | None
    action: Action


@dataclass(frozen=True, slots=True)
class Reach:
    """What a change reaches."""

    touched: tuple[AffectedDevice, ...]
    pending: int  # have yet to become what the base wants, with this change or without
    unclaimed: int  # no rollout wants anything of them
    unserved: int  # no gateway serves them


@dataclass(frozen=True, slots=True)
class _DesiredRun:
    """What is wanted of a device, as far as it matters to the device."""

    model: Model | None
    parameters: Parameters
    baked: tuple[object, ...]


def reach(before: Desired, was: Observed, after: Desired, is_now: Observed, now: datetime) -> Reach:
    """Compare what each revision would do to each device."""
    claims_before, claims = Claims(before), Claims(after)
    old = {action.device: action for action in unheld(before, was, now)}
    touched: list[AffectedDevice] = []
    pending = unclaimed = unserved = 0
    for action in unheld(after, is_now, now):
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
        revision = _wish(after, claim.rollout, device.name)
        wish_before = _wish(before, claims_before.of(earlier).rollout, device.name) if earlier is not None else None
        if revision != wish_before or _substance(action) != _substance(old.get(device.name)):
            touched.append(AffectedDevice(device.name, claim.rollout, claim.gateway, action))
        elif not isinstance(action, NoChange):
            pending += 1
    return Reach(tuple(touched), pending, unclaimed, unserved)


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


def _wish(desired: Desired, name: RolloutId | None, device: DeviceId) -> _DesiredRun:
    kind = desired.types[desired.devices[device].type]
    if name is None:
        return _DesiredRun(None, {}, kind.prebaked)
    rollout = desired.rollouts[name]
    model = desired.models[rollout.model]
    return _DesiredRun(model, {**model.parameters, **rollout.parameters}, kind.prebaked)


def _substance(action: Action | None) -> Mapping[str, object]:
    """Tell what is done, without the words about it."""
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
