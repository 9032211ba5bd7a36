# SPDX-License-Identifier: Apache-2.0
"""From a device's verified reports to what the planner observes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from reconciler.compiler.pack.operators import NAMES
from reconciler.devices.reports import (
    CapabilitiesBody,
    DecisionReason,
    DeviceReport,
    ModelLocation,
    ParametersBody,
    encode_body,
)
from reconciler.engine.state.records import DeviceRecord
from reconciler.model import (
    Capabilities,
    DeviceId,
    ObservedDevice,
    Parameters,
    Phase,
    ShortDigest,
    TypeId,
    short_digest_from_bytes,
)

SHARED_MAX = 256  # different capabilities in a fleet


@dataclass(frozen=True, slots=True)
class PackDefaults:
    """The parameters that each pack has built in: a device that uses them reports none."""

    by_short_digest: Mapping[ShortDigest, Parameters] = field(default_factory=dict)


def observed_device(record: DeviceRecord, defaults: PackDefaults, *, cloned: bool = False) -> ObservedDevice:
    """Interpret a device's last report."""
    report = record.report
    return ObservedDevice(
        last_seen=record.seen_at,
        phase=_phase(report),
        running=_digest(report.running),
        other_slot=_digest(report.other),
        incoming=_digest(report.transfer.digest16) if report.transfer else None,
        previous_failed=_digest(report.failed),
        confirmed_since=record.confirmed_since,
        sequence=report.sequence,
        parameters=_parameters(record, report, defaults),
        capabilities=_capabilities(record.capabilities) if record.capabilities else None,
        cloned=cloned,
    )


def updated_record(
    previous: DeviceRecord | None, device: DeviceId, report: DeviceReport, now: datetime
) -> DeviceRecord:
    """Add a report to a device's record; `confirmed_since` restarts when another pack or other parameters run."""
    if previous is None:
        return DeviceRecord(device, now, report, confirmed_since=now if _settled(report) else None)
    before = previous.report
    same = (before.running, before.parameters) == (report.running, report.parameters)
    started = previous.confirmed_since if same and previous.confirmed_since else now
    return replace(previous, seen_at=now, report=report, confirmed_since=started if _settled(report) else None)


def is_newer(previous: DeviceRecord | None, report: DeviceReport) -> bool:
    """Return whether an unsolicited report is newer than the last one: a device's counter only grows."""
    return previous is None or report.counter > previous.report.counter


def parameters_crc32(values: Mapping[int, int]) -> int:
    """Return the CRC-32 that a device reports while it has these parameters (protocol.md, section 2)."""
    if not values:
        return 0
    body = encode_body(ParametersBody(None, dict(sorted(values.items()))))
    return zlib.crc32(body[3:])  # without the array head, 3 and null: the map alone


def _settled(report: DeviceReport) -> bool:
    # While another pack is received or staged, the confirmed one keeps running and keeps soaking.
    return _phase(report) is not Phase.TRIAL and report.running is not None


def _phase(report: DeviceReport) -> Phase:
    # A pack that failed its trial runs until the device restarts, as it says it will: it is not confirmed.
    if report.why is DecisionReason.ON_TRIAL and report.phase in {Phase.IDLE, Phase.CONFIRMED}:
        return Phase.TRIAL
    # A pre-baked model that runs because nothing else was ever confirmed has nothing left to prove.
    if report.phase is Phase.IDLE and report.location is ModelLocation.PREBAKED:
        return Phase.CONFIRMED
    return report.phase


def _digest(digest16: bytes | None) -> ShortDigest | None:
    return short_digest_from_bytes(digest16) if digest16 is not None else None


def _parameters(record: DeviceRecord, report: DeviceReport, defaults: PackDefaults) -> Parameters:
    if report.parameters == 0:
        return defaults.by_short_digest.get(short_digest_from_bytes(report.running), {}) if report.running else {}
    if report.parameters == record.parameters_crc32 and record.parameters is not None:
        return record.parameters
    return {}  # set by another gateway, or our record of them is lost: the planner has them set again


@lru_cache(maxsize=SHARED_MAX)
def _operator_names(bits: bytes) -> frozenset[str]:
    """Return the names of the operators in a device's bit set; an unknown one keeps its number."""
    numbers = int.from_bytes(bits, "little")
    return frozenset(
        NAMES.get(number, f"OPERATOR_{number}") for number in range(8 * len(bits)) if numbers >> number & 1
    )


@lru_cache(maxsize=SHARED_MAX)
def _capabilities(reported: CapabilitiesBody) -> Capabilities:
    """Return what the planner sees of these; devices of one type report the same, and share it."""
    return Capabilities(
        type=TypeId(reported.type),
        pack_format=reported.pack_format,
        operators=_operator_names(reported.operators),
        slot_bytes=reported.slot_bytes,
        arena_bytes=reported.arena_bytes,
        prebaked=tuple(short_digest_from_bytes(digest) for digest in reported.prebaked),
        updates=reported.updates,
    )
