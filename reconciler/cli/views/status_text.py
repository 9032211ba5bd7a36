# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from reconciler.daemon.gateway_overview import DeviceOverview, GatewayOverview, device_facts
from reconciler.report.conditions import Status
from reconciler.review.formatting import ago, counted, short


def fleet_text(overview: GatewayOverview, now: datetime) -> str:
    """Show the gateway, a table of its devices, and the totals of its models."""
    lines = [*_headline(overview), ""]
    rows = [("DEVICE", "MODEL", "READY", "SEEN", "MESSAGE")]
    for device in overview.devices:
        ready = device.status.ready
        message = _activity(overview, device.status.device) or ("" if ready.status is Status.TRUE else ready.message)
        model = device.status.model or short(device.status.running)
        rows.append((device.status.device, model, ready.reason, ago(device.seen_at, now), message))
    lines += _columns(rows) if len(rows) > 1 else ["no devices"]
    if overview.totals:
        lines += [
            "",
            *_columns([("PACK", "DEVICES", "INFERENCES", "ANOMALIES", "FAULTS", "RESETS"), *_totals(overview)]),
        ]
    return "\n".join([*lines, *_live(overview)])


def device_text(device: DeviceOverview, overview: GatewayOverview, now: datetime) -> str:
    """Show everything that is known about one device."""
    status = device.status
    lines = [f"{status.device}: {status.ready.reason}: {status.ready.message}"]
    activity = _activity(overview, status.device)
    facts: list[tuple[str, str]] = [
        ("model", status.model or "-"),
        ("running", short(status.running)),
        ("phase", status.phase.value if status.phase else "-"),
        ("sequence", str(status.sequence)),
        ("seen", ago(device.seen_at, now)),
        *([("activity", activity)] if activity else []),
    ]
    facts += device_facts(device)
    facts += [(f"failed {short(digest)}", why) for digest, why in device.quarantined.items()]
    lines += ["", *_columns(facts), ""]
    head = [("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")]
    conditions = [
        (each.type, each.status.value, each.reason, f"{each.since:%Y-%m-%d %H:%M:%S}", each.message)
        for each in status.conditions
    ]
    return "\n".join([*lines, *_columns([*head, *conditions])])


def _headline(overview: GatewayOverview) -> Iterator[str]:
    gateway = overview.gateway
    if gateway is None:
        yield "this gateway has not reported yet"
        return
    yield f"Gateway {gateway.name}: {gateway.ready.reason}: {gateway.ready.message}"
    good = sum(device.status.ready.status is Status.TRUE for device in overview.devices)
    commit = short(gateway.commit) if gateway.commit else "none"
    yield f"commit {commit}; {good} of {counted(len(overview.devices), 'device')} ready"
    if not overview.running:
        yield "the daemon is not running: this is the last known state"


def _live(overview: GatewayOverview) -> Iterator[str]:
    """Show current builds, link problems and messages that were not accepted."""
    live = overview.live
    if live is None:
        return
    if live["building"]:
        yield f"\nbuilding {', '.join(live['building'])}"
    for what, why in live["buildFailures"].items():
        yield f"\nbuild failed: {what}: {why}"
    for name, link in live["links"].items():
        if link["trouble"]:
            yield f"\n{name}: {link['trouble']}"
        if link["unknownDevices"]:
            yield f"\n{name}: unknown devices, not in Git and not served: {', '.join(link['unknownDevices'])}"
    for name, refused in live["unauthenticated"].items():
        yield f"\n{name}: {refused['count']} messages in its name failed verification: {refused['why']}"


def _totals(overview: GatewayOverview) -> Iterator[tuple[str, ...]]:
    for name, total in sorted(overview.totals.items()):
        figures = (total.devices, total.inferences, total.anomalies, total.faults, total.resets)
        yield (name, *map(str, figures))


def _activity(overview: GatewayOverview, device: str) -> str | None:
    if overview.live is None:
        return None
    label = overview.live["inProgress"]["devices"].get(device)
    if label is None:
        why: str | None = overview.live["waiting"]["devices"].get(device)
        return f"waiting to retry: {why}" if why else None
    return f"in progress: {label}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
