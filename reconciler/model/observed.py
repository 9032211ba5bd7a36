# SPDX-License-Identifier: Apache-2.0
"""Observed state: devices, artifacts and the memory of rollouts (docs/specs/observed.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.model.digests import Digest, ReportedDigest
from reconciler.model.names import ArtifactKey, DeviceId, GatewayId, ModelRef, Parameters, RolloutId, TypeId


@dataclass(frozen=True, slots=True)
class Artifact:
    """The result of building one model for one device type, and what it needs of a device."""

    model: ModelRef
    type: TypeId
    digest: Digest
    pack_bytes: int
    arena_bytes: int
    operators: frozenset[str]


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """Why one model can't be built for one device type."""

    model: ModelRef
    type: TypeId
    reason: str
    message: str
    retried: bool  # it may pass, and is tried again; False: only a new commit helps

    @property
    def text(self) -> str:
        """Describe it in one sentence."""
        again = "; it is tried again" if self.retried else ""
        return f"{self.model} cannot be built for {self.type}: {self.message}{again}"


class Phase(StrEnum):
    """The state of a device's update state machine (docs/specs/protocol.md)."""

    IDLE = "idle"
    RECEIVING = "receiving"
    STAGED = "staged"
    TRIAL = "trial"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities that a device reports. They override those of its type."""

    type: TypeId
    pack_format: int
    operators: frozenset[str]
    slot_bytes: int
    arena_bytes: int
    prebaked: tuple[ReportedDigest, ...] = ()
    updates: bool = True


@dataclass(frozen=True, slots=True)
class Scores:
    """The distribution of sampled scores."""

    count: int
    min: int
    max: int
    mean: float
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one pack on a device."""

    inferences: int
    anomalies: int
    faults: int
    resets: int
    seconds: float = 0.0  # over which it counted; 0: unknown
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """The counters since this pack with these parameters was confirmed, and those of what ran before."""

    now: Counts
    before: Counts | None = None  # the baseline of health gates


@dataclass(frozen=True, slots=True)
class Before:
    """What a device ran when a rollout first changed it."""

    revision: str  # of that rollout (reconciler.plan.revision)
    running: ReportedDigest | None
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class ObservedDevice:
    """The last verified report of a device."""

    last_seen: datetime
    phase: Phase
    running: ReportedDigest | None  # as devices report digests
    other_slot: ReportedDigest | None = None
    incoming: ReportedDigest | None = None  # of the open transfer, or of the staged pack
    previous_failed: ReportedDigest | None = None  # the pack that last failed its trial
    confirmed_since: datetime | None = None  # since when this pack with these parameters is confirmed
    sequence: int = 0
    parameters: Parameters = field(default_factory=dict)
    capabilities: Capabilities | None = None
    cloned: bool = False  # two devices answer under its identity: nothing is sent to either
    health: DeviceHealth | None = None  # None: unknown
    before: Before | None = None  # what it ran before a rollout changed it; None: unknown
    flaps: int = 0  # how often it recently stopped reporting and came back
    flapped_at: datetime | None = None  # when it last came back


@dataclass(frozen=True, slots=True)
class RolloutMemory:
    """What is remembered of a rollout while its revision is unchanged."""

    revision: str  # see reconciler.plan.revision
    stopped: str = ""  # why the failure budget stopped it; empty: not stopped
    stopped_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RolloutReport:
    """What one gateway reports on its devices in one rollout. A device in none of the sets is unknown."""

    revision: str
    done: frozenset[DeviceId] = frozenset()  # it runs the model, has soaked, and passed all gates
    begun: frozenset[DeviceId] = frozenset()  # receiving the model, or on trial
    soaking: frozenset[DeviceId] = frozenset()  # it runs the model, but still soaks or has not passed all gates
    due: frozenset[DeviceId] = frozenset()  # it has not begun
    failed: frozenset[DeviceId] = frozenset()
    missing: frozenset[DeviceId] = frozenset()  # not reporting
    out: frozenset[DeviceId] = frozenset()  # it cannot get the model
    stopped: str = ""
    at: datetime | None = None  # when this last changed, by the clock of that gateway


@dataclass(frozen=True, slots=True)
class PeerReport:
    """The last verified report that another gateway committed."""

    rollouts: Mapping[RolloutId, RolloutReport] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """All observed state: devices, artifacts, and packs that failed."""

    devices: Mapping[DeviceId, ObservedDevice] = field(default_factory=dict)
    artifacts: Mapping[ArtifactKey, Artifact] = field(default_factory=dict)
    quarantined: frozenset[tuple[DeviceId, Digest]] = frozenset()
    rollouts: Mapping[RolloutId, RolloutMemory] = field(default_factory=dict)
    gateway: GatewayId | None = (
        None  # the observer; devices of other gateways are only in `peers`. None: one observer of all devices
    )
    peers: Mapping[GatewayId, PeerReport] = field(default_factory=dict)
