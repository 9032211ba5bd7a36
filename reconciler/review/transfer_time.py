# SPDX-License-Identifier: Apache-2.0
"""How long transfers take: estimates, fitted to what `make bench-serial` measures (docs/links.md).

A serial byte is ten bits on the wire. A device costs one exchange (question, report, envelope, stage, confirmation)
and its payload in framed blocks. The line is half duplex and shared, so the times of its devices add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.devices.line_quality import BLOCK_OVERHEAD_BYTES, PRIOR_BITS, PRIOR_ERRORS, best_block_bytes
from reconciler.model import Desired, Device, Gateway, GatewayId, MaintenanceWindow, MqttAddress, Rollout, SerialAddress
from reconciler.plan.rollout.windows import window_state

BITS_A_BYTE = 10  # a start bit, eight of data, a stop bit
EXCHANGE_BYTES = 660  # everything besides the payload: 2.87 s at 2400 baud, including the turn-arounds
EXCHANGE_S = 0.12  # turn-arounds
ENVELOPE_BYTES = 300  # the largest without a delegation, which the device already holds (docs/specs/envelope.md)
BLOCK_BYTES = best_block_bytes(PRIOR_ERRORS / PRIOR_BITS, 1024)
WINDOWS_TRIED = 400  # before giving up: more than a year of daily windows


@dataclass(frozen=True, slots=True, order=True)
class ReviewLine:
    """The medium that devices share: a serial line of a gateway, or its broker."""

    gateway: GatewayId
    port: str  # empty: MQTT
    baud: int  # 0: MQTT

    def __str__(self) -> str:
        return f"{self.gateway}, {self.port} at {self.baud} baud" if self.port else f"{self.gateway}, MQTT"


def line_of(device: Device, gateway: GatewayId) -> ReviewLine:
    """Return the line that reaches a device."""
    match device.link:
        case SerialAddress(port=port, baud=baud):
            return ReviewLine(gateway, port, baud)
        case MqttAddress():
            return ReviewLine(gateway, "", 0)


def device_s(line: ReviewLine, payload_bytes: int) -> float | None:
    """Estimate how long one device occupies a serial line; None for MQTT, which is not exclusive."""
    if not line.baud:
        return None
    blocks = math.ceil(payload_bytes / BLOCK_BYTES)
    on_wire = EXCHANGE_BYTES + payload_bytes + blocks * BLOCK_OVERHEAD_BYTES
    return EXCHANGE_S + on_wire * BITS_A_BYTE / line.baud


def line_s(line: ReviewLine, gateway: Gateway | None, payloads: Sequence[int]) -> float | None:
    """Estimate how long these payloads take on one line; None if nothing limits the rate."""
    limit = gateway.limits.bytes_per_second if gateway is not None else None
    total = sum(payloads) + ENVELOPE_BYTES * len(payloads)
    limited_s = total / limit if limit else None
    if not line.baud:
        return limited_s
    serial_s = sum(device_s(line, payload) or 0.0 for payload in payloads)
    return max(serial_s, limited_s or 0.0)


def windows_of(
    desired: Desired, rollout: Rollout, gateway: GatewayId | None
) -> tuple[tuple[MaintenanceWindow, ...], ...]:
    """Return the sets of windows that must be open at the same time, as the planner does."""
    if rollout.critical:
        return ()
    theirs = desired.gateways[gateway].windows if gateway is not None and gateway in desired.gateways else ()
    sets = (theirs, rollout.windows)
    return sets if any(sets) else (desired.fleet.windows,)


@dataclass(frozen=True, slots=True)
class TransferWindow:
    """When work ends that continues only while windows are open."""

    ends_at: datetime | None  # None: not within the windows that were tried
    windows: int  # how many are needed


def work_through(sets: tuple[tuple[MaintenanceWindow, ...], ...], begins_at: datetime, work_s: float) -> TransferWindow:
    """Spend seconds of work in the windows that open from a given time on."""
    now, left = begins_at, timedelta(seconds=work_s)
    used = 0
    was_open = False
    for _ in range(WINDOWS_TRIED):
        here = window_state(sets, now)
        if not here.is_open:
            was_open = False
            if here.opens_at is None:
                return TransferWindow(None, used)
            now = here.opens_at
            continue
        used += not was_open
        was_open = True
        if here.until is None or now + left <= here.until:
            return TransferWindow(now + left, used)
        left -= here.until - now
        now = here.until
    return TransferWindow(None, used)
