# SPDX-License-Identifier: Apache-2.0
"""What a gateway knows, read beside the running daemon: its database (read-only) and its file of the moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from reconciler.daemon import runtime_status
from reconciler.daemon.instance_lock import holder
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, Flag, parse_body
from reconciler.engine.observed.interpret import DIGEST16_HEX
from reconciler.engine.observed.summaries import Total, labelled, totals
from reconciler.engine.state.database import MIGRATIONS
from reconciler.engine.status.renderer import GATEWAY, ROLLOUTS
from reconciler.errors import Unusable
from reconciler.model import DeviceId
from reconciler.report.device_status import DeviceStatus
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.rollout_file import read_rollout_file
from reconciler.report.rollout_status import RolloutStatus
from reconciler.report.status_files import read_device_file, read_gateway_file

STATE_FILE = "state.db"


class NoRecordedState(Unusable):
    """There is no database to read, or it can't be read."""

    reason: ClassVar[str] = "NoRecordedState"


@dataclass(frozen=True, slots=True)
class DeviceOverview:
    """One device: what is true of it, and what it said last."""

    status: DeviceStatus
    seen_at: datetime | None
    report: DeviceReport | None
    capabilities: CapabilitiesBody | None
    quarantined: Mapping[str, str]  # digest: why

    @property
    def flags(self) -> list[str]:
        """Name the error flags that the device raised."""
        return [flag.name or "" for flag in Flag if self.report is not None and flag in self.report.flags]


@dataclass(frozen=True, slots=True)
class GatewayOverview:
    """All that a gateway knows."""

    running: bool  # a daemon works right now
    gateway: GatewayStatus | None
    devices: tuple[DeviceOverview, ...]
    totals: Mapping[str, Total]  # by model, or by the digest where no model is known for it
    live: Mapping[str, Any] | None
    rollouts: tuple[RolloutStatus, ...]
    at: datetime  # when it was read


def read_overview(state_dir: Path, only: DeviceId | None = None) -> GatewayOverview:
    """Read everything; with `only`, of the devices just that one."""
    running = holder(state_dir) is not None
    with database(state_dir) as db:
        gateway = db.execute("SELECT body FROM status WHERE path = ?", (GATEWAY,)).fetchone()
        models = {
            digest[:DIGEST16_HEX]: f"{name}@{version}"
            for name, version, digest in db.execute("SELECT model, version, digest FROM artifact")
        }
        found = totals(db.execute("SELECT running, body FROM summary ORDER BY running"))
        return GatewayOverview(
            running,
            read_gateway_file(gateway[0]) if gateway else None,
            tuple(_devices(db, only)),
            labelled(found, models),
            runtime_status.read(state_dir) if running else None,
            tuple(_rollouts(db)),
            datetime.now(UTC),
        )


def read_device(state_dir: Path, device: DeviceId) -> DeviceOverview | None:
    """Read what is known of one device; None: it is none of ours."""
    with database(state_dir) as db:
        return next(_devices(db, device), None)


def device_facts(device: DeviceOverview) -> list[tuple[str, str]]:
    """Name what a device said of itself, for people."""
    facts: list[tuple[str, str]] = []
    if (report := device.report) is not None:
        facts += [
            ("boots", str(report.boots)),
            ("inferences", str(report.inferences)),
            ("anomalies", str(report.anomalies)),
            ("faults", str(report.faults)),
            ("flags", ", ".join(device.flags) or "-"),
            ("last error", str(report.error)),
        ]
    if (told := device.capabilities) is not None:
        facts += [
            ("type", told.type),
            ("firmware", told.firmware),
            ("slot", f"{told.slot_bytes} bytes"),
            ("arena", f"{told.arena_bytes} bytes"),
        ]
    return facts


@contextmanager
def database(state_dir: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for reading, whether a daemon writes it or not; leaves no trace."""
    path = state_dir / STATE_FILE
    if not path.exists():
        raise NoRecordedState(f"{path} is not there: this gateway has not worked yet, or its state_dir is another one")
    # Without a daemon nobody writes; then no side files are needed, and a reader without write rights gets along.
    with_wal = holder(state_dir) is not None or path.with_name(path.name + "-wal").exists()
    options = "mode=ro" if with_wal else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != len(MIGRATIONS):
                raise NoRecordedState(f"{path} is of version {version}, this release reads {len(MIGRATIONS)}")
            yield db
    except sqlite3.Error as error:
        raise NoRecordedState(f"{path}: {error}; are you allowed to read it?") from error


def _devices(db: sqlite3.Connection, only: DeviceId | None) -> Iterator[DeviceOverview]:
    heard = {row[0]: row[1:] for row in db.execute("SELECT name, seen_at, report, capabilities FROM device")}
    failures: dict[str, dict[str, str]] = {}
    for device, digest, why in db.execute("SELECT device, digest, why FROM quarantine"):
        failures.setdefault(device, {})[digest] = why
    for (body,) in db.execute(*_asked(only)):
        status = read_device_file(body)
        seen_at, report, capabilities = heard.get(status.device, (None, None, None))
        yield DeviceOverview(
            status,
            datetime.fromtimestamp(seen_at, UTC) if seen_at is not None else None,
            _report(report),
            _capabilities(capabilities),
            failures.get(status.device, {}),
        )


def _asked(only: DeviceId | None) -> tuple[str, tuple[str, ...]]:
    """Say which status files are meant; a name that was asked for is no pattern."""
    if only is not None:
        return "SELECT body FROM status WHERE path = ?", (f"devices/{only}.yaml",)
    return "SELECT body FROM status WHERE path LIKE 'devices/%' ORDER BY path", ()


def _rollouts(db: sqlite3.Connection) -> Iterator[RolloutStatus]:
    for (body,) in db.execute("SELECT body FROM status WHERE path LIKE ? ORDER BY path", (f"{ROLLOUTS}%",)):
        yield read_rollout_file(body)


def _report(body: bytes | None) -> DeviceReport | None:
    parsed = parse_body(body) if body else None
    return parsed if isinstance(parsed, DeviceReport) else None


def _capabilities(body: bytes | None) -> CapabilitiesBody | None:
    parsed = parse_body(body) if body else None
    return parsed if isinstance(parsed, CapabilitiesBody) else None
