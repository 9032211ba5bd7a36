# SPDX-License-Identifier: Apache-2.0
"""Typed reading from the state database. Commands and the page read it while a daemon writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, TypeVar

from reconciler import sqlite_file
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, parse_body
from reconciler.engine.state import schema
from reconciler.engine.state.records import (
    BaselineRecord,
    DeviceRecord,
    EvidenceRecord,
    FlappingRecord,
    IdentityRecord,
    OrderRecord,
    QuarantineRecord,
    SummaryRecord,
)
from reconciler.errors import Unusable
from reconciler.model import (
    Artifact,
    Before,
    Commit,
    DeviceId,
    Digest,
    ModelRef,
    RolloutId,
    RolloutMemory,
    TypeId,
    Version,
)
from reconciler.sqlite_file import DatabaseReader, Row

ReportBody = TypeVar("ReportBody", DeviceReport, CapabilitiesBody)


class NoRecordedState(Unusable):
    """There is no state database, or it can't be read."""

    reason: ClassVar[str] = "NoRecordedState"


class StateReader(DatabaseReader):
    """All questions that are put to the database."""

    # ------------------------------------------------------------ Git

    @property
    def applied(self) -> Commit | None:
        """Return the commit that is enforced."""
        rows = self._rows("SELECT value FROM fact WHERE name = 'applied'")
        return Commit(rows[0][0]) if rows else None

    # ------------------------------------------------------------ devices

    def devices(self) -> list[DeviceRecord]:
        """Return the last report of every device."""
        return [_device(row) for row in self._rows("SELECT * FROM device")]

    def device(self, device: DeviceId) -> DeviceRecord | None:
        """Return the last report of one device."""
        rows = self._rows("SELECT * FROM device WHERE device = ?", (device,))
        return _device(rows[0]) if rows else None

    def order(self, device: DeviceId) -> OrderRecord | None:
        """Return the last order that was sent to a device."""
        rows = self._rows("SELECT digest, sequence, envelope FROM sent_order WHERE device = ?", (device,))
        return OrderRecord(Digest(rows[0][0]), rows[0][1], rows[0][2]) if rows else None

    def identities(self) -> list[IdentityRecord]:
        """Return what every device's fresh reports said over time."""
        return [IdentityRecord(DeviceId(row[0]), *row[1:]) for row in self._rows("SELECT * FROM identity")]

    def flapping(self) -> dict[DeviceId, FlappingRecord]:
        """Return which devices fell silent and came back."""
        rows = self._rows("SELECT device, flaps, flapped_at FROM flapping")
        return {DeviceId(row[0]): FlappingRecord(row[1], datetime.fromtimestamp(row[2], UTC)) for row in rows}

    def summaries(self) -> list[SummaryRecord]:
        """Return the last summary of each device for each pack that it ran, sorted by pack."""
        rows = self._rows("SELECT device, running, body, at FROM summary ORDER BY running")
        return [
            SummaryRecord(DeviceId(device), running, body, datetime.fromtimestamp(at, UTC) if at is not None else None)
            for device, running, body, at in rows
        ]

    # ------------------------------------------------------------ artifacts

    def artifacts(self) -> list[tuple[Artifact, str]]:
        """Return all artifacts, each with the digest of its sources."""
        return [_artifact(row) for row in self._rows("SELECT * FROM artifact")]

    def quarantined(self) -> list[QuarantineRecord]:
        """Return every pack that failed on a device."""
        return [_quarantine(row) for row in self._rows("SELECT * FROM quarantine")]

    def quarantined_on(self, device: DeviceId) -> list[QuarantineRecord]:
        """Return the packs that failed on one device."""
        return [_quarantine(row) for row in self._rows("SELECT * FROM quarantine WHERE device = ?", (device,))]

    # ------------------------------------------------------------ rollouts

    def evidence(self) -> dict[DeviceId, EvidenceRecord]:
        """Return what devices counted while a gate waited for it."""
        rows = self._rows("SELECT device, running, since, body, seconds FROM gate_evidence")
        return {DeviceId(row[0]): EvidenceRecord(*row[1:]) for row in rows}

    def baselines(self) -> dict[DeviceId, BaselineRecord]:
        """Return what devices were before a rollout first changed them."""
        rows = self._rows("SELECT device, revision, running, parameters, body, seconds FROM baseline")
        return {
            DeviceId(device): BaselineRecord(Before(revision, running, json.loads(parameters)), body, seconds)
            for device, revision, running, parameters, body, seconds in rows
        }

    def rollout_memories(self) -> dict[RolloutId, RolloutMemory]:
        """Return which rollouts stopped or completed."""
        rows = self._rows("SELECT rollout, revision, stopped, stopped_at, completed_at FROM rollout")
        return {
            RolloutId(rollout): RolloutMemory(revision, stopped, _time(stopped_at), _time(completed_at))
            for rollout, revision, stopped, stopped_at, completed_at in rows
        }

    # ------------------------------------------------------------ status

    def status_files(self, folder: str = "") -> dict[str, bytes]:
        """Return the status files (those below a folder) by path, whether they are committed yet or not."""
        statement = "SELECT path, body FROM status_file WHERE substr(path, 1, ?) = ? ORDER BY path"
        return dict(self._rows(statement, (len(folder), folder)))

    def status_file(self, path: str) -> bytes | None:
        """Return one status file."""
        rows = self._rows("SELECT body FROM status_file WHERE path = ?", (path,))
        return rows[0][0] if rows else None


@contextmanager
def read_state(path: Path, *, daemon_runs: bool) -> Iterator[StateReader]:
    """Open a state database for reading, whether a daemon writes it or not; leaves no trace."""
    if not path.exists():
        raise NoRecordedState(f"{path} does not exist: this gateway has not run yet, or its state_dir is another one")
    try:
        with sqlite_file.open_read_only(path, writer_runs=daemon_runs) as db:
            found = sqlite_file.version(db)
            if found != len(schema.MIGRATIONS):
                raise NoRecordedState(f"{path} has version {found}; this release reads {len(schema.MIGRATIONS)}")
            yield StateReader(db)
    except sqlite3.Error as error:
        raise NoRecordedState(f"{path}: {error}; are you allowed to read it?") from error


def _device(row: Row) -> DeviceRecord:
    name, seen_at, since, report, capabilities, parameters, crc32 = row
    return DeviceRecord(
        DeviceId(name),
        datetime.fromtimestamp(seen_at, UTC),
        _body(report, DeviceReport),
        _capabilities(capabilities) if capabilities is not None else None,
        _time(since),
        json.loads(parameters),
        crc32,
    )


@lru_cache(maxsize=64)
def _capabilities(stored: bytes) -> CapabilitiesBody:
    """Parse capabilities; devices of one type with the same firmware share the value."""
    return _body(stored, CapabilitiesBody)


def _body(stored: bytes, kind: type[ReportBody]) -> ReportBody:
    body = parse_body(stored)
    if not isinstance(body, kind):
        raise TypeError(f"the database holds a {type(body).__name__} in place of a {kind.__name__}")
    return body


def _artifact(row: Row) -> tuple[Artifact, str]:
    model, version, kind, source, digest, pack_bytes, arena_bytes, operators = row
    artifact = Artifact(
        ModelRef(model, Version(version)),
        TypeId(kind),
        Digest(digest),
        pack_bytes,
        arena_bytes,
        frozenset(json.loads(operators)),
    )
    return artifact, source


def _quarantine(row: Row) -> QuarantineRecord:
    device, digest, why, rollout, revision = row
    return QuarantineRecord(DeviceId(device), Digest(digest), why, RolloutId(rollout), revision)


def _time(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
