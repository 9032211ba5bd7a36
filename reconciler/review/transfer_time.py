# SPDX-License-Identifier: Apache-2.0
"""How long bytes travel: fitted to what `make bench-serial` measures (docs/links.md), so estimates, and said to be.

A serial byte is ten bits on the wire. A device costs an exchange (question, report, envelope, stage, confirmation)
and its payload in blocks, each with a frame around it. The line is half duplex and shared: devices add up.
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
EXCHANGE_BYTES = 660  # all that is said beside the payload: 2.87 s at 2400 baud, with the turn-arounds
EXCHANGE_S = 0.12  # turn-arounds
ENVELOPE_BYTES = 300  # as large as one without a delegation gets; a device holds its gateway's (docs/specs/envelope.md)
BLOCK_BYTES = best_block_bytes(PRIOR_ERRORS / PRIOR_BITS, 1024)
OPENINGS_TRIED = 400  # of windows, before "not within a year or so"


@dataclass(frozen=True, slots=True, order=True)
class ReviewLine:
    """What devices share on the way: a serial line of a gateway, or its broker."""

    gateway: GatewayId
    port: str  # empty: MQTT
    baud: int  # 0: MQTT

    def __str__(self) -> str:
        return f"{self.gateway}, {self.port} at {self.baud} baud" if self.port else f"{self.gateway}, MQTT"


def line_of(device: Device, gateway: GatewayId) -> ReviewLine:
    """Name what a device is reached over."""
    match device.link:
        case SerialAddress(port=port, baud=baud):
            return ReviewLine(gateway, port, baud)
        case MqttAddress():
            return ReviewLine(gateway, "", 0)


def device_s(line: ReviewLine, payload_bytes: int) -> float | None:
    """Estimate how long one device has a serial line; None for MQTT, where no line is held."""
    if not line.baud:
        return None
    blocks = math.ceil(payload_bytes / BLOCK_BYTES)
    on_wire = EXCHANGE_BYTES + payload_bytes + blocks * BLOCK_OVERHEAD_BYTES
    return EXCHANGE_S + on_wire * BITS_A_BYTE / line.baud


def line_s(line: ReviewLine, gateway: Gateway | None, payloads: Sequence[int]) -> float | None:
    """Estimate how long all these payloads take on one line; None where nothing limits them."""
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
    """Return the sets of windows that must be open at once, as planning holds to them."""
    if rollout.critical:
        return ()
    theirs = desired.gateways[gateway].windows if gateway is not None and gateway in desired.gateways else ()
    sets = (theirs, rollout.windows)
    return sets if any(sets) else (desired.fleet.windows,)


@dataclass(frozen=True, slots=True)
class TransferWindow:
    """When work ends that goes on only while windows are open."""

    ends_at: datetime | None  # None: not within the openings that were tried
    openings: int  # so many windows are needed


def passage(sets: tuple[tuple[MaintenanceWindow, ...], ...], begins_at: datetime, work_s: float) -> TransferWindow:
    """Spend so many seconds of work in the windows from a moment on."""
    now, left = begins_at, timedelta(seconds=work_s)
    used = 0
    was_open = False
    for _ in range(OPENINGS_TRIED):
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
