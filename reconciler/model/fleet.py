# SPDX-License-Identifier: Apache-2.0
"""Desired state: the fleet, its gateways, device types and devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.functions import Builtin, GatewayNode, RequestedOperation
from reconciler.model.names import DeviceId, GatewayId, Labels, ModelRef, TypeId


@dataclass(frozen=True, slots=True)
class Selector:
    """Selects the devices that match all labels and expressions. An empty selector matches all devices."""

    match_labels: Labels = field(default_factory=dict)
    match_expressions: tuple[SelectorExpression, ...] = ()
    types: tuple[TypeId, ...] = ()
    devices: tuple[DeviceId, ...] = ()


class SelectorOperator(StrEnum):
    """The operator of an expression, as in Kubernetes."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class SelectorExpression:
    """One requirement on a label."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A window in which changes are allowed: from `start`, for `duration_s`, on these days of the time zone."""

    days: tuple[str, ...]  # Mon ... Sun
    start: str  # HH:MM, local time
    duration_s: int
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """A device that is reached through the MQTT broker of its gateway."""


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """A device that is one address on a shared half-duplex line of its gateway."""

    port: str
    baud: int
    address: int  # 1 ... 247


DeviceLink = MqttAddress | SerialAddress


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial line of a gateway."""

    port: str
    baud: int


@dataclass(frozen=True, slots=True)
class GatewayLinks:
    """The links of a gateway; its devices can use no others."""

    mqtt: MqttAddress | None = None
    serial: tuple[SerialLine, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Limits on what a gateway does at the same time."""

    transfers: int = 8
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The name and the defaults of the fleet."""

    name: str
    report_every_s: int = 300
    silent_after_s: int = 900  # a device without a report for this long is "not reporting"
    windows: tuple[MaintenanceWindow, ...] = ()
    cohort_label: str | None = None  # the label whose values are the cohorts; None: nothing is counted by cohort


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway: the devices that it serves, its links and its limits."""

    name: GatewayId
    selector: Selector | None = None  # None: it serves no devices, and is only a node
    labels: Labels = field(default_factory=dict)
    windows: tuple[MaintenanceWindow, ...] = ()
    limits: GatewayLimits = GatewayLimits()
    links: GatewayLinks | None = None  # None: not stated, so not checked
    node: GatewayNode | None = None  # None: it offers no operations


class Updates(StrEnum):
    """How a device type gets a new model."""

    OVER_THE_AIR = "over-the-air"
    NONE = "none"  # only by pre-baking, or by a technician


class Runtime(StrEnum):
    """What runs models on the devices of a type."""

    C = "c"
    MICROPYTHON = "micropython"


@dataclass(frozen=True, slots=True)
class Region:
    """A region of flash."""

    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class FlashMap:
    """Where a device's initial content is in flash (docs/specs/flash.md); the agent finds the rest itself."""

    bytes: int
    provisioned: Region
    journal: Region  # both sectors
    erase_bytes: int = 4096
    chip: str | None = None  # the name that esptool uses; None: esptool cannot write it
    address: int = 0  # of flash in the chip's memory
    uf2_family: str | None = None  # None: no boot loader takes UF2 files


CLOCK_LABEL = "clock-mhz"  # a label of a device type, for estimates of inference time


@dataclass(frozen=True, slots=True)
class DeviceType:
    """A device type: what its devices can hold and run."""

    name: TypeId
    architecture: str
    slot_bytes: int
    arena_bytes: int
    operators: frozenset[str]
    runtime: Runtime = Runtime.C
    pack_format: int = 1  # with MicroPython, the version of the package format
    updates: Updates = Updates.OVER_THE_AIR
    prebaked: tuple[ModelRef, ...] = ()
    flash: FlashMap | None = None  # None: not stated, so provisioning only writes a file
    builtins: tuple[Builtin, ...] = ()  # functions of the firmware that gateways may call
    requests: tuple[RequestedOperation, ...] = ()  # operations that the firmware may ask for
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Device:
    """A device: its type, its link and its public key."""

    name: DeviceId
    type: TypeId
    link: DeviceLink
    labels: Labels = field(default_factory=dict)
    public_key: str | None = None  # hex of 32 bytes; None until provisioned
