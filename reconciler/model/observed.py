# SPDX-License-Identifier: Apache-2.0
"""What is: devices, artifacts and memories, as planning sees them (docs/specs/observed.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.model.digests import Digest
from reconciler.model.names import ArtifactKey, DeviceId, GatewayId, ModelRef, Parameters, RolloutId, TypeId


@dataclass(frozen=True, slots=True)
class Artifact:
    """What a build made of one model for one device type, and what it needs there."""

    model: ModelRef
    type: TypeId
    digest: Digest
    pack_bytes: int
    arena_bytes: int
    operators: frozenset[str]


class Phase(StrEnum):
    """Where a device's update state machine stands (docs/specs/protocol.md)."""

    IDLE = "idle"
    RECEIVING = "receiving"
    STAGED = "staged"
    TRIAL = "trial"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device says of itself; where it differs from its type, the device is right."""

    type: TypeId
    pack_format: int
    operators: frozenset[str]
    slot_bytes: int
    arena_bytes: int
    prebaked: tuple[Digest, ...] = ()
    updates: bool = True


@dataclass(frozen=True, slots=True)
class Scores:
    """How sampled scores are spread."""

    count: int
    min: int
    max: int
    mean: float
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a device did with one pack."""

    inferences: int
    anomalies: int
    faults: int
    resets: int
    seconds: float = 0.0  # in which it did that; 0: not known
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """What a device did since just this pack and these parameters were confirmed, and what it did before that."""

    now: Counts
    before: Counts | None = None  # what the gates compare with


@dataclass(frozen=True, slots=True)
class Before:
    """What a device was when a rollout first began to change it."""

    revision: str  # of that rollout (reconciler.plan.revision)
    running: Digest | None
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class ObservedDevice:
    """The last that a device said of itself, verified."""

    last_seen: datetime
    phase: Phase
    running: Digest | None
    other_slot: Digest | None = None
    incoming: Digest | None = None  # of the transfer that is open, or of the pack that is staged
    previous_failed: Digest | None = None  # the digest that it tried and left, if any
    confirmed_since: datetime | None = None  # since when just this digest and these parameters are confirmed
    sequence: int = 0
    parameters: Parameters = field(default_factory=dict)
    capabilities: Capabilities | None = None
    cloned: bool = False  # two devices answer in its name: nothing is sent to either
    health: DeviceHealth | None = None  # None: nothing is known
    before: Before | None = None  # what it was before a rollout changed it; None: not known
    flaps: int = 0  # so often it fell silent and came back, of late
    flapped_at: datetime | None = None  # when it last came back


@dataclass(frozen=True, slots=True)
class RolloutMemory:
    """What must not be forgotten of a rollout while Git wants the same of it."""

    revision: str  # what Git wanted then (reconciler.plan.revision)
    stopped: str = ""  # why the failure budget stopped it; empty: it did not
    stopped_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RolloutReport:
    """What one gateway says of its devices in one rollout. Of a device that is in no set nothing is known."""

    revision: str
    done: frozenset[DeviceId] = frozenset()  # settled, soaked, all gates passed
    begun: frozenset[DeviceId] = frozenset()  # on the way, or on trial
    soaking: frozenset[DeviceId] = frozenset()  # settled, but it soaks yet or its gates are not passed
    due: frozenset[DeviceId] = frozenset()  # has yet to begin
    failed: frozenset[DeviceId] = frozenset()
    missing: frozenset[DeviceId] = frozenset()  # not reporting
    out: frozenset[DeviceId] = frozenset()  # can never have it
    stopped: str = ""
    at: datetime | None = None  # when it last said something new of it, by its own clock


@dataclass(frozen=True, slots=True)
class PeerReport:
    """The last that another gateway committed, its signature verified."""

    rollouts: Mapping[RolloutId, RolloutReport] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """The whole observed state: the devices, the artifacts there are, and what failed."""

    devices: Mapping[DeviceId, ObservedDevice] = field(default_factory=dict)
    artifacts: Mapping[ArtifactKey, Artifact] = field(default_factory=dict)
    quarantined: frozenset[tuple[DeviceId, Digest]] = frozenset()
    rollouts: Mapping[RolloutId, RolloutMemory] = field(default_factory=dict)
    gateway: GatewayId | None = None  # who observed; devices of other gateways are known by `peers` alone. None: all
    peers: Mapping[GatewayId, PeerReport] = field(default_factory=dict)
