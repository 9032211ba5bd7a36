# SPDX-License-Identifier: Apache-2.0
"""The nouns: what is wanted (`Desired`), what is (`Observed`), and what to do (`Action`).

Frozen values, no I/O, no clock. A field `slot_bytes` here is `slotBytes` in YAML; the schemas in
`schemas/` and these types are held together by a test. Durations are seconds in Python and text such
as `90s`, `15m`, `12h` or `7d` in YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

DeviceId = NewType("DeviceId", str)
GatewayId = NewType("GatewayId", str)
RolloutId = NewType("RolloutId", str)
TypeId = NewType("TypeId", str)
Digest = NewType("Digest", str)  # 64 lower-case hex digits of a SHA-256
Version = NewType("Version", str)
Commit = NewType("Commit", str)

Labels = Mapping[str, str]
Parameters = Mapping[str, int | float]  # a decision threshold and the like


# ---------------------------------------------------------------- what is wanted


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version of one model."""

    name: str
    version: Version

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which devices: all that match every label and every expression. Empty matches all."""

    match_labels: Labels = field(default_factory=dict)
    match_expressions: tuple[Expression, ...] = ()
    types: tuple[TypeId, ...] = ()
    devices: tuple[DeviceId, ...] = ()


class Operator(StrEnum):
    """How an expression compares a label, as Kubernetes has it."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Expression:
    """One comparison of a selector."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """When changes are allowed: from `start`, for `duration_s`, on these days, in this zone."""

    days: tuple[str, ...]  # Mon ... Sun
    start: str  # HH:MM, local time
    duration_s: int
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class MqttLink:
    """The device is reached through the gateway's broker."""


@dataclass(frozen=True, slots=True)
class SerialLink:
    """The device is one address on a shared half-duplex line of its gateway."""

    port: str
    baud: int
    address: int  # 1 ... 247


Link = MqttLink | SerialLink


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial line that a gateway has."""

    port: str
    baud: int


@dataclass(frozen=True, slots=True)
class GatewayLinks:
    """The links that a gateway has; its devices can use no others."""

    mqtt: MqttLink | None = None
    serial: tuple[SerialLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a gateway may do at once."""

    transfers: int = 8
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet's id and its defaults."""

    name: str
    report_every_s: int = 300
    silent_after_s: int = 900  # a device that has not reported for so long is "not reporting"
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Which devices a gateway serves, over which links, and how much at once."""

    name: GatewayId
    selector: Selector
    labels: Labels = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    limits: Limits = Limits()
    links: GatewayLinks | None = None  # None: not said, so not checked


class Updates(StrEnum):
    """How a device type takes a new model."""

    OVER_THE_AIR = "over-the-air"
    NONE = "none"  # only what is pre-baked, or a technician


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a flash."""

    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FlashMap:
    """Where a device's first content goes (docs/specs/flash.md); the agent finds the rest by itself."""

    bytes: int
    provisioned: Region
    journal: Region  # both sectors
    erase_bytes: int = 4096
    chip: str | None = None  # as esptool names it; None: it can't be written by esptool


@dataclass(frozen=True, slots=True)
class DeviceType:
    """What a class of devices can hold and run."""

    name: TypeId
    architecture: str
    slot_bytes: int
    arena_bytes: int
    operators: frozenset[str]
    pack_format: int = 1
    updates: Updates = Updates.OVER_THE_AIR
    prebaked: tuple[ModelRef, ...] = ()
    flash: FlashMap | None = None  # None: not said, so only a file can be written
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Device:
    """One device: its type, its link, its public key."""

    name: DeviceId
    type: TypeId
    link: Link
    labels: Labels = field(default_factory=dict)
    public_key: str | None = None  # hex of 32 bytes; None until provisioned


@dataclass(frozen=True, slots=True)
class Source:
    """Where a model's file is, and which bytes it must have."""

    sha256: Digest
    path: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class TensorDescriptor:
    """One input or output: its shape, its type, and what it means."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model asks of a device, as far as it is known before a build."""

    operators: frozenset[str] = frozenset()
    slot_bytes: int = 0
    arena_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Quantize:
    """How to make int8 of a float model."""

    scheme: str = "int8"
    representative: Source | None = None
    samples: int = 100


@dataclass(frozen=True, slots=True)
class FeatureOf:
    """A statistic of one channel of a window."""

    statistic: str
    channel: int = 0


@dataclass(frozen=True, slots=True)
class Train:
    """How to grow a forest from the rows of a model's source, the same on every gateway."""

    method: str
    trees: int
    samples: int = 256
    seed: int = 0
    max_depth: int = 12
    label: str = "label"
    channels: int = 1
    features: tuple[FeatureOf, ...] = ()  # none: a row's columns are the trees' inputs


class Decide(StrEnum):
    """How a network's output becomes a decision (docs/specs/pack.md, HEAD)."""

    LARGEST = "largest"
    RECONSTRUCTION = "reconstruction"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure that a build must reach: `metric` compared with a floor or a ceiling."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    data: Source | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a model: its source, its shapes, and the bar it must clear."""

    ref: ModelRef
    source: Source
    inputs: tuple[TensorDescriptor, ...] = ()
    outputs: tuple[TensorDescriptor, ...] = ()
    needs: Needs = Needs()
    quantize: Quantize | None = None
    train: Train | None = None  # None: the source is a model already
    decide: Decide | None = None  # None: a network's outputs are all there is
    gates: tuple[Gate, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)


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
    over_inferences: int = 0  # it is judged from so many inferences on


class OnFailure(StrEnum):
    """What a spent failure budget does."""

    STOP = "stop"  # no further device is changed
    TAKE_BACK = "take-back"  # and those that were go back to what they ran before


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
    budget: FailureBudget = FailureBudget()
    at_risk: int | None = None  # devices at risk at once; None: as many as the budget can bear, where one is given
    on_failure: OnFailure = OnFailure.STOP
    min_available: tuple[MinAvailable, ...] = ()
    windows: tuple[Window, ...] = ()
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


# ---------------------------------------------------------------- what is


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
    least: int
    most: int
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
class Health:
    """What a device did since just this pack and these parameters were confirmed, and what it did before that."""

    now: Counts
    before: Counts | None = None  # what the gates compare with


@dataclass(frozen=True, slots=True)
class Before:
    """What a device was when a rollout first began to change it."""

    wish: str  # of that rollout (reconciler.plan.wish)
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
    health: Health | None = None  # None: nothing is known
    before: Before | None = None  # what it was before a rollout changed it; None: not known
    flaps: int = 0  # so often it fell silent and came back, of late
    flapped_at: datetime | None = None  # when it last came back


@dataclass(frozen=True, slots=True)
class RolloutMemory:
    """What must not be forgotten of a rollout while Git wants the same of it."""

    wish: str  # what Git wanted then (reconciler.plan.wish)
    stopped: str = ""  # why the failure budget stopped it; empty: it did not
    stopped_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RolloutWord:
    """What one gateway says of its devices in one rollout. Of a device that is in no set nothing is known."""

    wish: str
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
class PeerWord:
    """The last that another gateway committed, its signature verified."""

    rollouts: Mapping[RolloutId, RolloutWord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """The whole observed state: the devices, the artifacts there are, and what failed."""

    devices: Mapping[DeviceId, ObservedDevice] = field(default_factory=dict)
    artifacts: Mapping[tuple[ModelRef, TypeId], Artifact] = field(default_factory=dict)
    quarantined: frozenset[tuple[DeviceId, Digest]] = frozenset()
    rollouts: Mapping[RolloutId, RolloutMemory] = field(default_factory=dict)
    gateway: GatewayId | None = None  # who observed; devices of other gateways are known by `peers` alone. None: all
    peers: Mapping[GatewayId, PeerWord] = field(default_factory=dict)


# ---------------------------------------------------------------- what to do


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
    TAKEN_BACK = "TakenBack"  # so it has, and its devices are back on what they ran before
    AT_RISK = "AtRisk"  # more devices at risk at once are more than the budget can bear
    MIN_AVAILABLE = "MinAvailable"  # of its group no more devices may be away at once
    FLAPPING = "Flapping"  # it fell silent and came back too often
    ELSEWHERE = "Elsewhere"  # another gateway serves it


class CantReason(StrEnum):
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
class Nothing:
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
class Cant:
    """The device can't be what Git says, and what that lacks."""

    device: DeviceId
    rollout: RolloutId | None
    reason: CantReason
    why: str
    short_by: int = 0  # bytes, where a resource is short
    also: tuple[CantReason, ...] = ()  # what would keep it from it too


Action = Nothing | Install | ActivatePrebaked | Configure | Hold | Cant
