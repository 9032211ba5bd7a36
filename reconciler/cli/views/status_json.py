# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, as JSON."""

from __future__ import annotations

from typing import Any

from reconciler.daemon.gateway_overview import DeviceOverview, GatewayOverview
from reconciler.report.conditions import Status
from reconciler.review.formatting import iso


def as_dict(overview: GatewayOverview) -> dict[str, Any]:
    """Return the fields of a gateway and its devices."""
    gateway = overview.gateway
    return {
        "running": overview.running,
        "gateway": None
        if gateway is None
        else {
            "name": gateway.name,
            "commit": gateway.commit,
            "conditions": [each.as_dict() for each in gateway.conditions],
        },
        "devices": [_device(device) for device in overview.devices],
        "models": {name: total.as_dict() for name, total in overview.totals.items()},
        "live": overview.live,
    }


def _device(device: DeviceOverview) -> dict[str, Any]:
    status, report = device.status, device.report
    fields: dict[str, Any] = {
        "device": status.device,
        "ready": status.ready.status is Status.TRUE,
        "reason": status.ready.reason,
        "model": status.model,
        "running": status.running,
        "phase": status.phase.value if status.phase else None,
        "sequence": status.sequence,
        "cohort": status.cohort,
        "seenAt": iso(device.seen_at),
        "conditions": [each.as_dict() for each in status.conditions],
        "flags": device.flags,
        "quarantined": dict(device.quarantined),
    }
    if report is not None:
        fields["counters"] = {
            "boots": report.boots,
            "inferences": report.inferences,
            "anomalies": report.anomalies,
            "faults": report.faults,
        }
    if device.capabilities is not None:
        fields["firmware"] = device.capabilities.firmware
    return fields
