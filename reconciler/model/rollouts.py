# SPDX-License-Identifier: Apache-2.0
"""Desired state: rollouts, and the whole of a fleet repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.contests import Contest
from reconciler.model.fleet import Device, DeviceType, Fleet, Gateway, MaintenanceWindow, Selector
from reconciler.model.functions import Function
from reconciler.model.models import Model
from reconciler.model.names import (
    Commit,
    ContestId,
    DeviceId,
    FunctionId,
    GatewayId,
    Labels,
    ModelRef,
    Parameters,
    PipelineId,
    RolloutId,
    TrainingId,
    TypeId,
)
from reconciler.model.pipelines import Pipeline
from reconciler.model.trainings import Training


class Fallback(StrEnum):
    """What to do with a device that cannot get the update."""

    KEEP = "keep"  # keep what it runs
    PREBAKED = "prebaked"  # activate a pre-baked model
    REPORT = "report"  # report what a technician has to do


@dataclass(frozen=True, slots=True)
class Wave:
    """One step of a rollout: how many devices or which ones, and how long they soak."""

    name: str
    count: int | None = None
    percent: float | None = None
    selector: Selector | None = None
    soak_s: int = 0


@dataclass(frozen=True, slots=True)
class FailureBudget:
    """How many failures stop a rollout. With neither field, the first failure stops it."""

    count: int | None = None
    percent: float | None = None


class HealthMetric(StrEnum):
    """The metric of a health gate (docs/rollouts.md)."""

    FAULTS = "faults"
    RESETS = "resets"
    ANOMALY_RATE = "anomaly-rate"
    ANOMALY_RATE_CHANGE = "anomaly-rate-change"
    INFERENCE_RATE_RATIO = "inference-rate-ratio"
    SCORE_DISTANCE = "score-distance"
    SCORE_MEAN_SHIFT = "score-mean-shift"


@dataclass(frozen=True, slots=True)
class HealthGate:
    """A gate that a model must pass on a device before the device counts as done."""

    metric: HealthMetric
    at_least: float | None = None
    at_most: float | None = None
    min_inferences: int = 0  # it is evaluated once there are this many inferences


class OnFailure(StrEnum):
    """What happens when the failure budget is spent."""

    STOP = "stop"  # no further device changes
    ROLL_BACK = "rollback"  # devices that changed go back to what they ran before


@dataclass(frozen=True, slots=True)
class MinAvailable:
    """How many devices with the same value of a label must stay available."""

    label: str
    count: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One version of a model for the devices that a selector matches, wave by wave."""

    name: RolloutId
    model: ModelRef
    selector: Selector
    priority: int = 0
    critical: bool = False  # ignores maintenance windows
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
    parameters: Parameters = field(default_factory=dict)  # override those of the model
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """All desired state of one commit. It is checked: every reference resolves."""

    commit: Commit
    fleet: Fleet
    gateways: Mapping[GatewayId, Gateway]
    types: Mapping[TypeId, DeviceType]
    devices: Mapping[DeviceId, Device]
    models: Mapping[ModelRef, Model]
    rollouts: Mapping[RolloutId, Rollout]
    contests: Mapping[ContestId, Contest] = field(default_factory=dict)
    trainings: Mapping[TrainingId, Training] = field(default_factory=dict)
    pipelines: Mapping[PipelineId, Pipeline] = field(default_factory=dict)
    functions: Mapping[FunctionId, Function] = field(default_factory=dict)
