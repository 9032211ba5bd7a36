# SPDX-License-Identifier: Apache-2.0
"""Desired state: functions, and what a gateway is as a node (docs/functions.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.names import FunctionId, GatewayId, Labels, Version


class ValueElement(StrEnum):
    """The type of the elements of a value."""

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BYTES = "bytes"


class ValueUsage(StrEnum):
    """What a value is for."""

    INFERENCE = "inference"
    TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Quantization:
    """What an integer of a value means: scale * (integer - zero point)."""

    scale: float
    zero_point: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDescriptor:
    """What a value is. Left out: anything."""

    dtype: ValueElement
    shape: tuple[int | None, ...]  # None: any size
    usage: ValueUsage | None = None
    unit: str | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDescriptor(ItemDescriptor):
    """An input or an output of an operation."""

    name: str


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of a device's firmware that its gateway offers as an operation."""

    number: int
    operation: str  # the name of the device follows (`device_operation`)
    inputs: tuple[ValueDescriptor, ...] = ()
    outputs: tuple[ValueDescriptor, ...] = ()
    task: str | None = None
    idempotent: bool = False  # may run again if the device restarts during a call


@dataclass(frozen=True, slots=True)
class RequestedOperation:
    """An operation that the firmware of a device may ask for."""

    number: int
    operation: str
    inputs: tuple[ValueDescriptor, ...] = ()


def device_operation(builtin: Builtin, device: str) -> str:
    """Return the name of the operation that a built-in of a device is."""
    return f"{builtin.operation}.{device}"


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """The module in the repository."""

    path: str
    sha256: str


class BucketAccess(StrEnum):
    """What a function may do with a bucket."""

    APPEND = "append"
    READ = "read"


@dataclass(frozen=True, slots=True)
class BucketNeed:
    """A bucket that a function works with."""

    bucket: str
    access: BucketAccess


@dataclass(frozen=True, slots=True)
class FunctionNeeds:
    """All that a function may import."""

    storage: tuple[BucketNeed, ...] = ()
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionLimits:
    """What one call may use."""

    memory_bytes: int = 1_048_576
    fuel: int = 20_000_000  # WebAssembly instructions, roughly
    time_ms: int = 500  # with the operations that it calls


@dataclass(frozen=True, slots=True)
class NodeSelector:
    """Gateways with all of these labels."""

    match_labels: Labels = field(default_factory=dict)


class Near(StrEnum):
    """Which of the gateways that run a function gets a call first."""

    DATA = "data"  # the one with the stored data that it reads
    CALLER = "caller"  # the one with the shortest way
    LEAST_LOADED = "least-loaded"  # the one that would be done first


@dataclass(frozen=True, slots=True)
class FunctionPlacement:
    """Which gateways run a function."""

    nodes: NodeSelector = NodeSelector()
    replicas: int = 1
    near: Near = Near.CALLER


@dataclass(frozen=True, slots=True)
class Function:
    """A WebAssembly module that gateways run as an operation."""

    name: FunctionId
    version: Version
    operation: str
    source: FunctionSource
    outputs: tuple[ValueDescriptor, ...]
    inputs: tuple[ValueDescriptor, ...] = ()
    entry: str = "handle"
    task: str | None = None
    needs: FunctionNeeds = FunctionNeeds()
    limits: FunctionLimits = FunctionLimits()
    placement: FunctionPlacement = FunctionPlacement()
    idempotent: bool = False  # may be tried again on another node
    suspend: bool = False
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionRuntimeLimits:
    """The process in which a gateway runs functions."""

    memory_bytes: int = 268_435_456  # of the process, with the runtime itself
    queue: int = 64  # calls that may wait


@dataclass(frozen=True, slots=True)
class Retention:
    """What a bucket keeps; the oldest items go first."""

    age_s: int = 2_592_000
    bytes: int = 67_108_864
    items: int = 100_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of the local storage, for items of one kind."""

    name: str
    descriptor: ItemDescriptor
    keep: Retention = Retention()


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """What a gateway stores for operations."""

    buckets: tuple[Bucket, ...]
    bytes: int = 268_435_456  # of all buckets


@dataclass(frozen=True, slots=True)
class ProposedChanges:
    """Whose wishes for changes of the fleet a gateway proposes."""

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GatewayNode:
    """What a gateway offers as a node."""

    functions: FunctionRuntimeLimits | None = None  # None: it runs none
    storage: LocalStorage | None = None  # None: it stores nothing
    forward: tuple[GatewayId, ...] = ()  # who is asked, in this order, for what no node here can do
    drain: bool = False  # it gives up its functions
    changes: ProposedChanges | None = None  # None: nobody may wish for changes
