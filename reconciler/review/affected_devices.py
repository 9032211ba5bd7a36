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
    ModelRef,
    NoChange,
    Observed,
    OnFailure,
    Parameters,
    RolloutId,
    TypeId,
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


class _DesiredModels:
    """The desired models of one commit; the devices of one rollout and type share one."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._known: dict[tuple[RolloutId | None, TypeId], _DesiredModel] = {}

    def of(self, name: RolloutId | None, kind: TypeId) -> _DesiredModel:
        known = self._known.get((name, kind))
        if known is None:
            known = self._known[name, kind] = self._make(name, self._desired.types[kind].prebaked)
        return known

    def _make(self, name: RolloutId | None, prebaked: tuple[ModelRef, ...]) -> _DesiredModel:
        if name is None:
            return _DesiredModel(None, {}, prebaked)
        rollout = self._desired.rollouts[name]
        model = self._desired.models[rollout.model]
        return _DesiredModel(model, {**model.parameters, **rollout.parameters}, prebaked)


def impact_of(
    before: Desired, observed_before: Observed, after: Desired, observed_after: Observed, now: datetime
) -> Impact:
    """Compare what each of two commits would do to each device."""
    claims_before, claims = Claims(before), Claims(after)
    models_before, models = _DesiredModels(before), _DesiredModels(after)
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
        desired = models.of(claim.rollout, device.type)
        desired_before = (
            models_before.of(claims_before.of(earlier).rollout, earlier.type) if earlier is not None else None
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
