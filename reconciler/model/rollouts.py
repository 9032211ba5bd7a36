# SPDX-License-Identifier: Apache-2.0
"""What is wanted: rollouts, and all of a fleet repository together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.fleet import Device, DeviceType, Fleet, Gateway, MaintenanceWindow, Selector
from reconciler.model.models import Model
from reconciler.model.names import Commit, DeviceId, GatewayId, Labels, ModelRef, Parameters, RolloutId, TypeId


class Fallback(StrEnum):
    """What to do with a device that can't get the update."""

    KEEP = "keep"  # go on with what it runs
    PREBAKED = "prebaked"  # activate a pre-baked model
    REPORT = "report"  # say what a technician must do


@dataclass(frozen=True, slots=True)
class Wave:
    """One step of a rollout: how many devices, or which, and how long to watch them."""

    name: str
    count: int | None = None
    percent: float | None = None
    selector: Selector | None = None
    soak_s: int = 0


@dataclass(frozen=True, slots=True)
class FailureBudget:
    """How many failures stop a rollout. Neither given: the first one."""

    count: int | None = None
    percent: float | None = None


class HealthMetric(StrEnum):
    """What is measured of a model on a device (docs/rollouts.md)."""

    FAULTS = "faults"
    RESETS = "resets"
    ANOMALY_RATE = "anomaly-rate"
    ANOMALY_RATE_CHANGE = "anomaly-rate-change"
    INFERENCE_RATE_RATIO = "inference-rate-ratio"
    SCORE_DISTANCE = "score-distance"
    SCORE_MEAN_SHIFT = "score-mean-shift"


@dataclass(frozen=True, slots=True)
class HealthGate:
    """One bar that a model must clear on each device before the device counts as done."""

    metric: HealthMetric
    at_least: float | None = None
    at_most: float | None = None
    min_inferences: int = 0  # it is judged from so many inferences on


class OnFailure(StrEnum):
    """What a spent failure budget does."""

    STOP = "stop"  # no further device is changed
    ROLL_BACK = "rollback"  # and those that were go back to what they ran before


@dataclass(frozen=True, slots=True)
class MinAvailable:
    """Of the devices with one value of a label, so many must go on working."""

    label: str
    count: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One version of a model for the devices that a selector names, wave by wave."""

    name: RolloutId
    model: ModelRef
    selector: Selector
    priority: int = 0
    critical: bool = False  # may leave windows
    waves: tuple[Wave, ...] = ()
    gates: tuple[HealthGate, ...] = ()
    failure_budget: FailureBudget = FailureBudget()
    max_at_risk: int | None = None  # devices at risk at once; None: as many as the budget can bear, where one is given
    on_failure: OnFailure = OnFailure.STOP
    min_available: tuple[MinAvailable, ...] = ()
    windows: tuple[MaintenanceWindow, ...] = ()
    suspend: bool = False
    depends_on: tuple[RolloutId, ...] = ()
    fallback: Fallback = Fallback.KEEP
    parameters: Parameters = field(default_factory=dict)  # over the model's own
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """The whole wanted state, from one commit, checked: every name in it resolves."""

    commit: Commit
    fleet: Fleet
    gateways: Mapping[GatewayId, Gateway]
    types: Mapping[TypeId, DeviceType]
    devices: Mapping[DeviceId, Device]
    models: Mapping[ModelRef, Model]
    rollouts: Mapping[RolloutId, Rollout]
