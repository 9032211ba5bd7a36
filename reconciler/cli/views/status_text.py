# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rich.text import Text

from reconciler.cli.views.table import Row, table
from reconciler.daemon.gateway_overview import DeviceOverview, GatewayOverview, device_facts
from reconciler.report.conditions import Status
from reconciler.report.remedies import REMEDIES
from reconciler.review.formatting import age, ago, counted, short

STYLES = {Status.TRUE: "green", Status.FALSE: "red", Status.UNKNOWN: "yellow"}


def fleet_text(overview: GatewayOverview, now: datetime, width: int) -> list[Text]:
    """Show the gateway, a table of its devices, and the totals of its models."""
    rows = [_row(device, overview, now) for device in overview.devices]
    headings = ("device", "model", "ready", "seen", "message")
    devices = table(headings, rows, width) if rows else [Text("no devices")]
    lines = [*map(Text, _headline(overview)), Text(), *devices]
    if overview.totals:
        figures = ("pack", "devices", "inferences", "anomalies", "faults", "resets", "age")
        lines += [Text(), *table(figures, _totals(overview, now), width)]
    return [*lines, *map(Text, _live(overview))]


def device_text(device: DeviceOverview, overview: GatewayOverview, now: datetime, width: int) -> list[Text]:
    """Show everything that is known about one device."""
    status = device.status
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
    conditions = [
        (each.type, each.status.value, each.reason, f"{each.since:%Y-%m-%d %H:%M:%S}", each.message)
        for each in status.conditions
    ]
    return [
        Text(f"{status.device}: {status.ready.reason}: {status.ready.message}"),
        Text(),
        *table((), facts, width),
        Text(),
        *table(("condition", "status", "reason", "since", "message"), conditions, width),
    ]


def _row(device: DeviceOverview, overview: GatewayOverview, now: datetime) -> Row:
    ready = device.status.ready
    style = STYLES[ready.status]
    message = _activity(overview, device.status.device) or ("" if ready.status is Status.TRUE else ready.message)
    model = device.status.model or short(device.status.running)
    return (device.status.device, model, Text(ready.reason, style), ago(device.seen_at, now), message)


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
    for failure in live["buildFailures"].values():
        yield f"\nbuild failed: {failure['reason']}: {failure['message']}"
        yield f"what to do: {REMEDIES[failure['reason']].text}"
    for name, link in live["links"].items():
        if link["trouble"]:
            yield f"\n{name}: {link['trouble']}"
        if link["unknownDevices"]:
            yield f"\n{name}: unknown devices, not in Git and not served: {', '.join(link['unknownDevices'])}"
    for name, refused in live["unauthenticated"].items():
        yield f"\n{name}: {refused['count']} messages in its name failed verification: {refused['why']}"


def _totals(overview: GatewayOverview, now: datetime) -> Iterator[tuple[str, ...]]:
    for name, total in sorted(overview.totals.items()):
        figures = (total.devices, total.inferences, total.anomalies, total.faults, total.resets)
        yield (name, *map(str, figures), age(total.oldest, total.newest, now))


def _activity(overview: GatewayOverview, device: str) -> str | None:
    if overview.live is None:
        return None
    label = overview.live["inProgress"]["devices"].get(device)
    if label is None:
        why: str | None = overview.live["waiting"]["devices"].get(device)
        return f"waiting to retry: {why}" if why else None
    return f"in progress: {label}"
