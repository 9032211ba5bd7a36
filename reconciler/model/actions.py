# SPDX-License-Identifier: Apache-2.0
"""Actions: what a plan does for each device, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.names import DeviceId, ModelRef, Parameters, RolloutId


class Origin(StrEnum):
    """Where an install gets the pack from."""

    BUILD = "build"  # there is no artifact yet: build it, then transfer it
    ARTIFACT = "artifact"  # transfer the artifact
    OTHER_SLOT = "other-slot"  # the device holds it in its other slot: an envelope is enough


class HoldReason(StrEnum):
    """Why a device that should change has to wait."""

    WAVE = "Wave"
    WINDOW = "Window"
    SUSPENDED = "Suspended"
    DEPENDS_ON = "DependsOn"
    IN_PROGRESS = "InProgress"
    BUDGET = "FailureBudget"  # too many devices failed: the rollout has stopped
    ROLLED_BACK = "RolledBack"  # too many devices failed: devices go back to what they ran before
    AT_RISK = "AtRisk"  # as many devices are at risk as the failure budget allows
    MIN_AVAILABLE = "MinAvailable"  # too few devices of its group would stay available
    FLAPPING = "Flapping"  # it stopped reporting and came back too often
    OTHER_GATEWAY = "OtherGateway"  # another gateway serves it


class BlockedReason(StrEnum):
    """Why a device cannot reach its desired state."""

    OPERATORS = "OperatorsMissing"
    SLOT = "SlotTooSmall"
    ARENA = "ArenaTooSmall"
    PACK_FORMAT = "PackFormatUnknown"
    NO_UPDATES = "NeedsProvisioning"
    UNKNOWN = "UnknownDevice"
    SILENT = "NotReporting"
    QUARANTINED = "Quarantined"
    WRONG_TYPE = "WrongType"  # the device reports a type other than the one in Git
    CLONED = "IdentityCloned"  # two devices answer under its identity
    GATE = "GateFailed"  # the model that it runs failed a health gate on it


@dataclass(frozen=True, slots=True)
class NoChange:
    """The device is in its desired state, or it has none."""

    device: DeviceId
    why: str


@dataclass(frozen=True, slots=True)
class Install:
    """Deliver a model."""

    device: DeviceId
    rollout: RolloutId
    model: ModelRef
    origin: Origin
    parameters: Parameters
    why: str


@dataclass(frozen=True, slots=True)
class ActivatePrebaked:
    """Switch to a pre-baked model."""

    device: DeviceId
    rollout: RolloutId
    model: ModelRef
    parameters: Parameters
    why: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Change parameters with an envelope alone."""

    device: DeviceId
    rollout: RolloutId
    parameters: Parameters
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The device should change, but has to wait."""

    device: DeviceId
    rollout: RolloutId
    reason: HoldReason
    why: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The device cannot reach its desired state."""

    device: DeviceId
    rollout: RolloutId | None
    reason: BlockedReason
    why: str
    short_by: int = 0  # missing bytes, if a resource is too small
    also: tuple[BlockedReason, ...] = ()  # further reasons


Action = NoChange | Install | ActivatePrebaked | Configure | Hold | Blocked
