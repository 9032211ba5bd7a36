# SPDX-License-Identifier: Apache-2.0
"""What to do: one action for each device, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.names import DeviceId, ModelRef, Parameters, RolloutId


class Origin(StrEnum):
    """From what an install gets its bytes."""

    BUILD = "build"  # no artifact yet: build, then transfer
    ARTIFACT = "artifact"  # transfer what was built
    OTHER_SLOT = "other-slot"  # the device still holds it: an envelope alone


class HoldReason(StrEnum):
    """Why a device that should change waits."""

    WAVE = "Wave"
    WINDOW = "Window"
    SUSPENDED = "Suspended"
    DEPENDS_ON = "DependsOn"
    IN_PROGRESS = "InProgress"
    BUDGET = "FailureBudget"  # too many devices failed: the rollout has stopped
    ROLLED_BACK = "RolledBack"  # so it has, and its devices are back on what they ran before
    AT_RISK = "AtRisk"  # more devices at risk at once are more than the budget can bear
    MIN_AVAILABLE = "MinAvailable"  # of its group no more devices may be away at once
    FLAPPING = "Flapping"  # it fell silent and came back too often
    ELSEWHERE = "OtherGateway"  # another gateway serves it


class BlockedReason(StrEnum):
    """Why a device can't be what Git says."""

    OPERATORS = "OperatorsMissing"
    SLOT = "SlotTooSmall"
    ARENA = "ArenaTooSmall"
    PACK_FORMAT = "PackFormatUnknown"
    NO_UPDATES = "NeedsProvisioning"
    UNKNOWN = "UnknownDevice"
    SILENT = "NotReporting"
    QUARANTINED = "Quarantined"
    WRONG_TYPE = "WrongType"  # the device says that it is of another type than Git says
    CLONED = "IdentityCloned"  # two devices answer in its name
    GATE = "GateFailed"  # it runs the model, which failed a health gate on it


@dataclass(frozen=True, slots=True)
class NoChange:
    """The device is where Git wants it, or nothing is wanted of it."""

    device: DeviceId
    why: str


@dataclass(frozen=True, slots=True)
class Install:
    """Deliver this model."""

    device: DeviceId
    rollout: RolloutId
    model: ModelRef
    origin: Origin
    parameters: Parameters
    why: str


@dataclass(frozen=True, slots=True)
class ActivatePrebaked:
    """Switch to a model that the device was made with."""

    device: DeviceId
    rollout: RolloutId
    model: ModelRef
    parameters: Parameters
    why: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Change parameters, by an envelope alone."""

    device: DeviceId
    rollout: RolloutId
    parameters: Parameters
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The device should change, but not now."""

    device: DeviceId
    rollout: RolloutId
    reason: HoldReason
    why: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """The device can't be what Git says, and what that lacks."""

    device: DeviceId
    rollout: RolloutId | None
    reason: BlockedReason
    why: str
    short_by: int = 0  # bytes, where a resource is short
    also: tuple[BlockedReason, ...] = ()  # what would keep it from it too


Action = NoChange | Install | ActivatePrebaked | Configure | Hold | Blocked
