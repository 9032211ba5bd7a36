# SPDX-License-Identifier: Apache-2.0
"""The transfers of a change: the payload of each device, the line, and the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import (
    ActivatePrebaked,
    Configure,
    Desired,
    DeviceId,
    GatewayId,
    Install,
    ModelRef,
    TypeId,
)
from reconciler.review.affected_devices import AffectedDevice
from reconciler.review.transfer_time import ReviewLine, device_s, line_of, line_s

NO_GATEWAY = GatewayId("(no gateway)")


@dataclass(frozen=True, slots=True)
class PayloadEstimate:
    """What one device receives."""

    kind: str  # raw, compressed, patch …, or where the estimate comes from
    size_bytes: int
    exact: bool  # computed from existing packs; otherwise an upper bound

    def __str__(self) -> str:
        about = "" if self.exact else "≤ "
        return f"{self.kind}, {about}{self.size_bytes:,} B" if self.size_bytes else self.kind


@dataclass(frozen=True, slots=True)
class TransferKind:
    """The model that devices run and the one that they receive: these devices get the same bytes."""

    running: ModelRef | None  # None: unknown
    desired: ModelRef
    type: TypeId


PayloadSizer = Callable[[TransferKind], PayloadEstimate | None]  # None: there is no pack to measure
ENVELOPE = PayloadEstimate("envelope only", 0, exact=True)


@dataclass(frozen=True, slots=True)
class TransferLoad:
    """All devices on one line that receive the same bytes."""

    line: ReviewLine
    kind: TransferKind | None  # None: an envelope only
    payload: PayloadEstimate
    devices: tuple[DeviceId, ...]

    @property
    def each_s(self) -> float | None:
        """Estimate the time for one device; None for MQTT."""
        return device_s(self.line, self.payload.size_bytes)


def loads(
    desired: Desired, affected: Iterable[AffectedDevice], running: Mapping[DeviceId, ModelRef], size: PayloadSizer
) -> list[TransferLoad]:
    """Group devices that receive the same bytes over the same line."""
    groups: dict[tuple[ReviewLine, TransferKind | None], list[DeviceId]] = defaultdict(list)
    for each in affected:
        device = desired.devices[each.device]
        line = line_of(device, each.gateway or NO_GATEWAY)
        match each.action:
            case Install(model=model):
                groups[line, TransferKind(running.get(each.device), model, device.type)].append(each.device)
            case ActivatePrebaked() | Configure():
                groups[line, None].append(each.device)
            case _:
                pass
    known: dict[TransferKind, PayloadEstimate] = {}
    found = []
    for (line, kind), devices in groups.items():
        payload = ENVELOPE if kind is None else known.get(kind)
        if payload is None and kind is not None:
            payload = known[kind] = size(kind) or estimated(desired, kind)
        found.append(TransferLoad(line, kind, payload or ENVELOPE, tuple(devices)))
    return sorted(found, key=lambda load: (load.line, str(load.kind)))


def estimated(desired: Desired, kind: TransferKind) -> PayloadEstimate:
    """Bound the size before a build: the slot bytes that the model declares, otherwise the whole slot."""
    needs = desired.models[kind.desired].needs.slot_bytes
    if needs:
        return PayloadEstimate("not built, declared by the model", needs, exact=False)
    return PayloadEstimate("not built, size of the slot", desired.types[kind.type].slot_bytes, exact=False)


@dataclass(frozen=True, slots=True)
class LineTime:
    """One line, and everything that the change transfers over it."""

    line: ReviewLine
    devices: int
    payload_bytes: int
    longest_s: float | None  # of the device that takes longest
    total_s: float | None  # None: nothing limits the rate
    exact: bool


def line_times(desired: Desired, found: Iterable[TransferLoad]) -> list[LineTime]:
    """Add up the transfers that share a line."""
    by_line: dict[ReviewLine, list[TransferLoad]] = defaultdict(list)
    for load in found:
        by_line[load.line].append(load)
    return [_line_time(desired, line, group) for line, group in sorted(by_line.items())]


def _line_time(desired: Desired, line: ReviewLine, group: list[TransferLoad]) -> LineTime:
    payloads = [load.payload.size_bytes for load in group for _ in load.devices]
    each = [load.each_s for load in group if load.each_s is not None]
    return LineTime(
        line,
        len(payloads),
        sum(payloads),
        max(each, default=None),
        line_s(line, desired.gateways.get(line.gateway), payloads),
        exact=all(load.payload.exact for load in group),
    )
