# SPDX-License-Identifier: Apache-2.0
"""From what a device said (verified bodies) to what planning observes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.compiler.pack.operators import NAMES
from reconciler.devices.reports import CapabilitiesBody, DecisionReason, DeviceReport, ModelLocation, ParametersBody, encode_body, parse_body
from reconciler.engine.state.database import DeviceRecord
from reconciler.model import Capabilities, DeviceId, Digest, ObservedDevice, Parameters, Phase, TypeId

DIGEST16_HEX = 32


@dataclass(frozen=True, slots=True)
class Facts:
    """What must be known of packs to understand a report: the parameters that each has built in."""

    defaults: Mapping[str, Parameters] = field(default_factory=dict)  # by the first 16 bytes of the digest, in hex


def observed_device(heard: DeviceRecord, facts: Facts, *, cloned: bool = False) -> ObservedDevice:
    """Conclude what is true of a device."""
    report = _report(heard.report)
    return ObservedDevice(
        last_seen=heard.seen_at,
        phase=_phase(report),
        running=_digest(report.running),
        other_slot=_digest(report.other),
        incoming=_digest(report.transfer.digest16) if report.transfer else None,
        previous_failed=_digest(report.failed),
        confirmed_since=heard.confirmed_since,
        sequence=report.sequence,
        parameters=_parameters(heard, report, facts),
        capabilities=_capabilities(heard.capabilities) if heard.capabilities else None,
        cloned=cloned,
    )


def taken(previous: DeviceRecord | None, device: DeviceId, report: DeviceReport, now: datetime) -> DeviceRecord:
    """Take in a report: `confirmed_since` starts anew when another pack, or other parameters, run."""
    body = encode_body(report)
    if previous is None:
        return DeviceRecord(device, now, body, confirmed_since=now if _settled(report) else None)
    before = _report(previous.report)
    same = (before.running, before.parameters) == (report.running, report.parameters)
    started = previous.confirmed_since if same and previous.confirmed_since else now
    return replace(previous, seen_at=now, report=body, confirmed_since=started if _settled(report) else None)


def is_newer(previous: DeviceRecord | None, report: DeviceReport) -> bool:
    """Tell whether a report that nobody asked for is newer than the last: its counter only grows."""
    return previous is None or report.counter > _report(previous.report).counter


def parameters_check(values: Mapping[int, int]) -> int:
    """Return the CRC-32 that a device with these parameters tells (protocol.md section 2)."""
    if not values:
        return 0
    body = encode_body(ParametersBody(None, dict(sorted(values.items()))))
    return zlib.crc32(body[3:])  # behind array head, 3 and null: the map alone


def _settled(report: DeviceReport) -> bool:
    # While another pack is received or staged the confirmed one goes on running, and goes on soaking.
    return _phase(report) is not Phase.TRIAL and report.running is not None


def _phase(report: DeviceReport) -> Phase:
    # What lost its trial runs until the device has restarted, which it says it will: that is no confirmation.
    if report.why is DecisionReason.ON_TRIAL and report.phase in {Phase.IDLE, Phase.CONFIRMED}:
        return Phase.TRIAL
    # A pre-baked model that runs because nothing else was ever confirmed has nothing left to prove.
    if report.phase is Phase.IDLE and report.place is ModelLocation.PREBAKED:
        return Phase.CONFIRMED
    return report.phase


def _report(body: bytes) -> DeviceReport:
    report = parse_body(body)
    if not isinstance(report, DeviceReport):
        raise TypeError("a report was expected")
    return report


def _digest(digest16: bytes | None) -> Digest | None:
    return Digest(digest16.hex()) if digest16 is not None else None


def _parameters(heard: DeviceRecord, report: DeviceReport, facts: Facts) -> Parameters:
    if report.parameters == 0:
        running = report.running.hex() if report.running else ""
        return facts.defaults.get(running, {})
    if report.parameters == heard.parameters_check and heard.parameters is not None:
        return heard.parameters
    return {}  # set by somebody else, or we have forgotten: planning will have them set again


def _operator_names(bits: bytes) -> frozenset[str]:
    """Name the operators that a device tells by number; one that we do not know keeps its number."""
    told = int.from_bytes(bits, "little")
    return frozenset(NAMES.get(number, f"OPERATOR_{number}") for number in range(8 * len(bits)) if told >> number & 1)


def _capabilities(body: bytes) -> Capabilities:
    told = parse_body(body)
    if not isinstance(told, CapabilitiesBody):
        raise TypeError("capabilities were expected")
    return Capabilities(
        type=TypeId(told.type),
        pack_format=told.pack_format,
        operators=_operator_names(told.operators),
        slot_bytes=told.slot_bytes,
        arena_bytes=told.arena_bytes,
        prebaked=tuple(Digest(digest.hex()) for digest in told.prebaked),
        updates=told.updates,
    )
