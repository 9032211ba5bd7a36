# SPDX-License-Identifier: Apache-2.0
"""A device and its reports, for the tests of the engine."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.devices.reports import CapabilitiesBody, DecisionReason, DeviceReport, Flag, ModelLocation
from reconciler.model import DeviceId, Phase

PUMP = DeviceId("pump-1")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

CAPABILITIES = CapabilitiesBody(
    "board", bytes(16), 1, b"\x01", 8192, 0, 512, 0, updates=True, prebaked=(), firmware="f"
)


def report(counter: int, sequence: int = 0) -> DeviceReport:
    """Return a report of a device that runs a confirmed pack; bits 20 and up of its counter count boots."""
    return DeviceReport(
        counter=counter,
        sequence=sequence,
        epoch=1,
        gateway=bytes(8),
        phase=Phase.CONFIRMED,
        location=ModelLocation.SLOT_A,
        running=bytes(16),
        other=None,
        why=DecisionReason.CONFIRMED,
        failed=None,
        error=0,
        flags=Flag(0),
        parameters=0,
        boots=counter >> 20,
        inferences=0,
        anomalies=0,
        faults=0,
        transfer=None,
    )


class FixedClock:
    """A clock that always shows noon."""

    def now(self) -> datetime:
        return NOON

    def steady_s(self) -> float:
        return 0.0
