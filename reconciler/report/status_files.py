# SPDX-License-Identifier: Apache-2.0
"""The files of a status ref: YAML for programs, a README.md for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from reconciler.model import DeviceId, Digest, Phase, RolloutId
from reconciler.report.conditions import Condition, Conditions, Status
from reconciler.report.device_status import DeviceStatus
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.rollout_table import rollout_section

_VERSION = "tinyfleet/v1alpha1"
_MAX_LISTED = 20


def device_file(status: DeviceStatus) -> bytes:
    """Render the status of one device."""
    return _document(
        "DeviceStatus",
        status.device,
        {
            "model": status.model,
            "running": status.running,
            "phase": status.phase.value if status.phase is not None else None,
            "sequence": status.sequence,
            **({} if status.parameters is None else {"parameters": dict(status.parameters)}),
            "conditions": [condition.as_dict() for condition in status.conditions],
        },
    )


def read_device_file(data: bytes) -> DeviceStatus:
    """Read what `device_file` rendered: after a restart, the old conditions provide `since`."""
    document = yaml.load(data, Loader=yaml.CSafeLoader)
    fields = document["status"]
    return DeviceStatus(
        device=DeviceId(document["metadata"]["name"]),
        running=Digest(fields["running"]) if fields["running"] else None,
        model=fields["model"],
        phase=Phase(fields["phase"]) if fields["phase"] else None,
        sequence=fields["sequence"],
        conditions=_conditions(fields),
        parameters=fields.get("parameters"),
    )


def read_gateway_file(data: bytes) -> GatewayStatus:
    """Read what `gateway_file` rendered."""
    document = yaml.load(data, Loader=yaml.CSafeLoader)
    fields = document["status"]
    return GatewayStatus(document["metadata"]["name"], fields["commit"], _conditions(fields))


def gateway_file(status: GatewayStatus) -> bytes:
    """Render the status of the gateway."""
    conditions = [condition.as_dict() for condition in status.conditions]
    return _document("GatewayStatus", status.name, {"commit": status.commit, "conditions": conditions})


def readme(
    gateway: GatewayStatus,
    devices: Iterable[DeviceStatus],
    rollouts: Mapping[DeviceId, RolloutId],
    rollout_statuses: Iterable[RolloutStatus] = (),
) -> bytes:
    """Render the state of the fleet for a person who reads it on a forge."""
    every = sorted(devices, key=lambda status: status.device)
    ready = sum(status.ready.status is Status.TRUE for status in every)
    enforced = f"commit `{gateway.commit[:12]}`" if gateway.commit else "nothing yet"
    lines = [
        f"# Gateway {gateway.name}",
        "",
        f"Enforces {enforced}. **{gateway.ready.reason}**: {gateway.ready.message}",
        "",
        f"{ready} of {len(every)} devices are ready.",
        "",
        *_devices_by_rollout(every, rollouts),
        *rollout_section(rollout_statuses),
        *_not_ready(every),
    ]
    return "\n".join(lines).encode()


def _devices_by_rollout(devices: list[DeviceStatus], rollouts: Mapping[DeviceId, RolloutId]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for status in devices:
        state = "ready" if status.ready.status is Status.TRUE else status.ready.reason
        counts.setdefault(rollouts.get(status.device, RolloutId("(none)")), Counter())[state] += 1
    lines = ["| rollout | ready | not ready |", "|---|---|---|"]
    for name in sorted(counts):
        rest = ", ".join(f"{number} {reason}" for reason, number in sorted(counts[name].items()) if reason != "ready")
        lines.append(f"| {name} | {counts[name]['ready']} | {rest or '-'} |")
    return [*lines, ""]


def _not_ready(devices: list[DeviceStatus]) -> list[str]:
    waiting = [status for status in devices if status.ready.status is not Status.TRUE]
    if not waiting:
        return []
    rows = [
        f"| {status.device} | {status.ready.reason} | {status.ready.message} | {status.ready.since:%Y-%m-%d %H:%M} |"
        for status in waiting[:_MAX_LISTED]
    ]
    more = [f"\n… and {len(waiting) - _MAX_LISTED} more, in `devices/`."] if len(waiting) > _MAX_LISTED else []
    return ["## Not ready", "", "| device | reason | message | since (UTC) |", "|---|---|---|---|", *rows, *more, ""]


def _conditions(fields: Mapping[str, Any]) -> Conditions:
    return tuple(Condition.from_dict(each) for each in fields["conditions"])


def _document(kind: str, name: str, status: Mapping[str, Any]) -> bytes:
    document = {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name}, "status": dict(status)}
    text: bytes = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120, encoding="utf-8"
    )
    return text
