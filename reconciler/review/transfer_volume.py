# SPDX-License-Identifier: Apache-2.0
"""What must travel: which payload for which devices, over which line, and how long that takes."""

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

NOBODY = GatewayId("(no gateway)")


@dataclass(frozen=True, slots=True)
class PayloadEstimate:
    """What one device of a sort is sent."""

    kind: str  # raw, compressed, patch ..., or what is known instead
    size_bytes: int
    exact: bool  # worked out from packs that are there; else an estimate

    def __str__(self) -> str:
        about = "" if self.exact else "≤ "
        return f"{self.kind}, {about}{self.size_bytes:,} B" if self.size_bytes else self.kind


@dataclass(frozen=True, slots=True)
class TransferKind:
    """Devices that get the same bytes."""

    held: ModelRef | None  # what they run, where that is known
    wanted: ModelRef
    type: TypeId


Quote = Callable[[TransferKind], PayloadEstimate | None]  # None: no pack is there to tell it
ENVELOPE = PayloadEstimate("envelope alone", 0, exact=True)


@dataclass(frozen=True, slots=True)
class TransferLoad:
    """All devices on one line that get the same bytes."""

    line: ReviewLine
    sort: TransferKind | None  # None: an envelope alone
    payload: PayloadEstimate
    devices: tuple[DeviceId, ...]

    @property
    def each_s(self) -> float | None:
        """Estimate the time that one device takes; None where no line is held."""
        return device_s(self.line, self.payload.size_bytes)


def loads(
    desired: Desired, touched: Iterable[AffectedDevice], runs: Mapping[DeviceId, ModelRef], quote: Quote
) -> list[TransferLoad]:
    """Put devices together that get the same over the same line."""
    groups: dict[tuple[ReviewLine, TransferKind | None], list[DeviceId]] = defaultdict(list)
    for each in touched:
        device = desired.devices[each.device]
        line = line_of(device, each.gateway or NOBODY)
        match each.action:
            case Install(model=model):
                groups[line, TransferKind(runs.get(each.device), model, device.type)].append(each.device)
            case ActivatePrebaked() | Configure():
                groups[line, None].append(each.device)
            case _:
                pass
    known: dict[TransferKind, PayloadEstimate] = {}
    found = []
    for (line, sort), devices in groups.items():
        payload = ENVELOPE if sort is None else known.get(sort)
        if payload is None and sort is not None:
            payload = known[sort] = quote(sort) or estimated(desired, sort)
        found.append(TransferLoad(line, sort, payload or ENVELOPE, tuple(devices)))
    return sorted(found, key=lambda load: (load.line, str(load.sort)))


def estimated(desired: Desired, sort: TransferKind) -> PayloadEstimate:
    """Say what is known before a build: no more than the model says that it needs, else than the slot holds."""
    needs = desired.models[sort.wanted].needs.slot_bytes
    if needs:
        return PayloadEstimate("not built, by the model's own word", needs, exact=False)
    return PayloadEstimate("not built, as large as the slot", desired.types[sort.type].slot_bytes, exact=False)


@dataclass(frozen=True, slots=True)
class LineTime:
    """One line and all that the change sends over it."""

    line: ReviewLine
    devices: int
    payload_bytes: int
    each_s: float | None  # of the device that takes longest
    total_s: float | None  # None: nothing limits it
    exact: bool


def line_times(desired: Desired, found: Iterable[TransferLoad]) -> list[LineTime]:
    """Add up what shares a line."""
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
