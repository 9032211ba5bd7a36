# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from reconciler.daemon.state_reader import DeviceOverview, GatewayOverview, device_facts
from reconciler.report.conditions import Status

DIGITS = 12
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def fleet_text(overview: GatewayOverview, now: datetime) -> str:
    """Show the gateway, a table of its devices, and what its models did."""
    lines = [*_headline(overview), ""]
    rows = [("DEVICE", "MODEL", "READY", "SEEN", "WHAT")]
    for device in overview.devices:
        ready = device.status.ready
        what = _under_way(overview, device.status.device) or ("" if ready.status is Status.TRUE else ready.message)
        model = device.status.model or _short(device.status.running)
        rows.append((device.status.device, model, ready.reason, _ago(device.seen_at, now), what))
    lines += _columns(rows) if len(rows) > 1 else ["no devices"]
    if overview.totals:
        lines += [
            "",
            *_columns([("PACK", "DEVICES", "INFERENCES", "ANOMALIES", "FAULTS", "RESETS"), *_totals(overview)]),
        ]
    return "\n".join([*lines, *_moment(overview)])


def device_text(device: DeviceOverview, overview: GatewayOverview, now: datetime) -> str:
    """Show everything about one device."""
    status = device.status
    lines = [f"{status.device}: {status.ready.reason}: {status.ready.message}"]
    in_progress = _under_way(overview, status.device)
    facts: list[tuple[str, str]] = [
        ("model", status.model or "-"),
        ("running", _short(status.running)),
        ("phase", status.phase.value if status.phase else "-"),
        ("sequence", str(status.sequence)),
        ("seen", _ago(device.seen_at, now)),
        *([("under way", in_progress)] if in_progress else []),
    ]
    facts += device_facts(device)
    facts += [(f"failed {_short(digest)}", why) for digest, why in device.quarantined.items()]
    lines += ["", *_columns(facts), ""]
    head = [("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")]
    conditions = [
        (each.type, each.status.value, each.reason, f"{each.since:%Y-%m-%d %H:%M:%S}", each.message)
        for each in status.conditions
    ]
    return "\n".join([*lines, *_columns([*head, *conditions])])


def as_dict(overview: GatewayOverview) -> dict[str, Any]:
    """Name the fields for programs."""
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
    told: dict[str, Any] = {
        "device": status.device,
        "ready": status.ready.status is Status.TRUE,
        "reason": status.ready.reason,
        "model": status.model,
        "running": status.running,
        "phase": status.phase.value if status.phase else None,
        "sequence": status.sequence,
        "seenAt": device.seen_at.isoformat() if device.seen_at else None,
        "conditions": [each.as_dict() for each in status.conditions],
        "flags": device.flags,
        "quarantined": dict(device.quarantined),
    }
    if report is not None:
        told["counters"] = {
            "boots": report.boots,
            "inferences": report.inferences,
            "anomalies": report.anomalies,
            "faults": report.faults,
        }
    if device.capabilities is not None:
        told["firmware"] = device.capabilities.firmware
    return told


def _headline(overview: GatewayOverview) -> Iterator[str]:
    gateway = overview.gateway
    if gateway is None:
        yield "this gateway has told nothing yet"
        return
    yield f"Gateway {gateway.name}: {gateway.ready.reason}: {gateway.ready.message}"
    good = sum(device.status.ready.status is Status.TRUE for device in overview.devices)
    commit = gateway.commit[:DIGITS] or "none"
    yield f"commit {commit}; {good} of {len(overview.devices)} devices are where Git wants them"
    if not overview.running:
        yield "no daemon works here at the moment: this is what was known last"


def _moment(overview: GatewayOverview) -> Iterator[str]:
    """Tell what goes on now, and who else speaks."""
    live = overview.live
    if live is None:
        return
    if live["building"]:
        yield f"\nbuilding {', '.join(live['building'])}"
    for what, why in live["buildFailures"].items():
        yield f"\ncan't be built: {what}: {why}"
    for name, link in live["links"].items():
        if link["trouble"]:
            yield f"\n{name}: {link['trouble']}"
        if link["unknownDevices"]:
            yield f"\n{name}: speaks, not in Git, not served: {', '.join(link['unknownDevices'])}"
    for name, refused in live["unauthenticated"].items():
        yield f"\n{name}: {refused['count']} messages in its name did not verify: {refused['why']}"


def _totals(overview: GatewayOverview) -> Iterator[tuple[str, ...]]:
    for name, total in sorted(overview.totals.items()):
        figures = (total.devices, total.inferences, total.anomalies, total.faults, total.resets)
        yield (name, *map(str, figures))


def _under_way(overview: GatewayOverview, device: str) -> str | None:
    if overview.live is None:
        return None
    label = overview.live["inProgress"]["devices"].get(device)
    if label is None:
        why: str | None = overview.live["waiting"]["devices"].get(device)
        return f"will be tried again: {why}" if why else None
    return f"under way: {label}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _short(digest: str | None) -> str:
    return digest[:DIGITS] if digest else "-"


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    seconds = max(0, int((now - moment).total_seconds()))
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {unit} ago"
    return f"{seconds} s ago"
