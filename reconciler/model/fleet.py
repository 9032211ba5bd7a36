# SPDX-License-Identifier: Apache-2.0
"""What is wanted: the fleet, its gateways, device types and devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.names import DeviceId, GatewayId, Labels, ModelRef, TypeId


@dataclass(frozen=True, slots=True)
class Selector:
    """Which devices: all that match every label and every expression. Empty matches all."""

    match_labels: Labels = field(default_factory=dict)
    match_expressions: tuple[SelectorExpression, ...] = ()
    types: tuple[TypeId, ...] = ()
    devices: tuple[DeviceId, ...] = ()


class SelectorOperator(StrEnum):
    """How an expression compares a label, as Kubernetes has it."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class SelectorExpression:
    """One comparison of a selector."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """When changes are allowed: from `start`, for `duration_s`, on these days, in this zone."""

    days: tuple[str, ...]  # Mon ... Sun
    start: str  # HH:MM, local time
    duration_s: int
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """The device is reached through the gateway's broker."""


@dataclass(frozen=True, slots=True)
class SerialAddress:
    """The device is one address on a shared half-duplex line of its gateway."""

    port: str
    baud: int
    address: int  # 1 ... 247


DeviceLink = MqttAddress | SerialAddress


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial line that a gateway has."""

    port: str
    baud: int


@dataclass(frozen=True, slots=True)
class GatewayLinks:
    """The links that a gateway has; its devices can use no others."""

    mqtt: MqttAddress | None = None
    serial: tuple[SerialLine, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """How much a gateway may do at once."""

    transfers: int = 8
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """The fleet's id and its defaults."""

    name: str
    report_every_s: int = 300
    silent_after_s: int = 900  # a device that has not reported for so long is "not reporting"
    windows: tuple[MaintenanceWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Which devices a gateway serves, over which links, and how much at once."""

    name: GatewayId
    selector: Selector
    labels: Labels = field(default_factory=dict)
    windows: tuple[MaintenanceWindow, ...] = ()
    limits: GatewayLimits = GatewayLimits()
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
    link: DeviceLink
    labels: Labels = field(default_factory=dict)
    public_key: str | None = None  # hex of 32 bytes; None until provisioned
