# SPDX-License-Identifier: Apache-2.0
"""Writing to the state database. A gateway has one writer: its daemon, or a command that runs instead of it.

Nothing in it is precious: a damaged file is set aside, and the truth is asked again from Git and the devices.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import ClassVar

from reconciler import sqlite_file
from reconciler.devices.reports import encode_body
from reconciler.engine.state import schema
from reconciler.engine.state.reader import StateReader
from reconciler.engine.state.records import (
    BaselineRecord,
    DeviceRecord,
    EvidenceRecord,
    FlappingRecord,
    IdentityRecord,
    OrderRecord,
    QuarantineRecord,
)
from reconciler.errors import Unusable
from reconciler.model import Artifact, Commit, DeviceId, Digest, RolloutId, RolloutMemory
from reconciler.sqlite_file import DatabaseWriter, Value

_IDENTITY_ROW = attrgetter("device", "public_key", "counter", "max_counter", "max_sequence", "alternations")


class StateUnusable(Unusable):
    """The database can't be opened or written: permissions, or a full disk."""

    reason: ClassVar[str] = "StateUnusable"


class StateWriter(DatabaseWriter, StateReader):
    """The database, open for reading and writing by the event loop's thread and the Git thread."""

    unusable = StateUnusable

    def __init__(self, path: Path) -> None:
        try:
            opened = sqlite_file.open_database(path, schema.prepare)
        except sqlite3.OperationalError as error:
            raise StateUnusable(f"{path}: {error}; check the folder's owner, its permissions and free space") from error
        super().__init__(path, opened)

    # ------------------------------------------------------------ Git

    def save_applied(self, commit: Commit) -> None:
        """Keep the commit that is enforced."""
        self._write("INSERT OR REPLACE INTO fact VALUES ('applied', ?)", (commit,))

    # ------------------------------------------------------------ devices

    def save_devices(self, records: Iterable[DeviceRecord]) -> None:
        """Keep the last reports of devices."""
        self._write_all("INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?)", map(_device_row, records))

    def save_order(self, device: DeviceId, order: OrderRecord) -> None:
        """Keep an order before it is sent."""
        values = (device, order.digest, order.sequence, order.envelope)
        self._write("INSERT OR REPLACE INTO sent_order VALUES (?, ?, ?, ?)", values)

    def save_identities(self, records: Iterable[IdentityRecord]) -> None:
        """Keep what the fresh reports of devices said over time."""
        self._write_all("INSERT OR REPLACE INTO identity VALUES (?, ?, ?, ?, ?, ?)", map(_IDENTITY_ROW, records))

    def save_flapping(self, device: DeviceId, record: FlappingRecord) -> None:
        """Keep how often a device fell silent and came back."""
        values = (device, record.flaps, record.flapped_at.timestamp())
        self._write("INSERT OR REPLACE INTO flapping VALUES (?, ?, ?)", values)

    def save_summary(self, device: DeviceId, running: str, body: bytes, at: datetime) -> None:
        """Keep the last summary of a device for the pack that it runs."""
        self._write("INSERT OR REPLACE INTO summary VALUES (?, ?, ?, ?)", (device, running, body, at.timestamp()))

    def forget_device(self, device: DeviceId) -> None:
        """Delete all that is known of a device."""
        for table in schema.OF_A_DEVICE:
            self._write(f"DELETE FROM {table} WHERE device = ?", (device,))  # noqa: S608 - the names are constants

    # ------------------------------------------------------------ artifacts

    def save_artifact(self, artifact: Artifact, source: str) -> None:
        """Keep the facts of an artifact; `source` is the digest of all that it was built from."""
        self._write(
            "INSERT OR REPLACE INTO artifact VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                artifact.model.name,
                artifact.model.version,
                artifact.type,
                source,
                artifact.digest,
                artifact.pack_bytes,
                artifact.arena_bytes,
                json.dumps(sorted(artifact.operators)),
            ),
        )

    def save_quarantine(self, record: QuarantineRecord) -> None:
        """Keep that a pack failed on a device."""
        self._write("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?)", astuple(record))

    def release(self, device: DeviceId, digest: Digest) -> None:
        """Take a pack out of quarantine on one device."""
        self._write("DELETE FROM quarantine WHERE device = ? AND digest = ?", (device, digest))

    # ------------------------------------------------------------ rollouts

    def save_evidence(self, device: DeviceId, record: EvidenceRecord) -> None:
        """Keep what a device counted for a gate."""
        values = (device, record.running, record.since, record.body, record.seconds)
        self._write("INSERT OR REPLACE INTO gate_evidence VALUES (?, ?, ?, ?, ?)", values)

    def save_baseline(self, device: DeviceId, record: BaselineRecord) -> None:
        """Keep what a device was before a rollout first changes it."""
        before = record.before
        parameters = json.dumps(dict(before.parameters))
        values = (device, before.revision, before.running, parameters, record.body, record.seconds)
        self._write("INSERT OR REPLACE INTO baseline VALUES (?, ?, ?, ?, ?, ?)", values)

    def replace_rollout_memories(self, memories: Mapping[RolloutId, RolloutMemory]) -> None:
        """Keep which rollouts stopped or completed, and forget all others."""
        with self.transaction():
            self._write("DELETE FROM rollout")
            for name, each in memories.items():
                values = (name, each.revision, each.stopped, _timestamp(each.stopped_at), _timestamp(each.completed_at))
                self._write("INSERT INTO rollout VALUES (?, ?, ?, ?, ?)", values)

    # ------------------------------------------------------------ status

    def save_status_files(self, files: Mapping[str, bytes], gone: Iterable[str]) -> None:
        """Keep the status files as they are to be committed."""
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO status_file VALUES (?, ?)", files.items())
            self._db.executemany("DELETE FROM status_file WHERE path = ?", [(path,) for path in gone])


def _device_row(record: DeviceRecord) -> tuple[Value, ...]:
    return (
        record.device,
        record.seen_at.timestamp(),
        _timestamp(record.confirmed_since),
        encode_body(record.report),
        encode_body(record.capabilities) if record.capabilities is not None else None,
        json.dumps(dict(record.parameters or {})),
        record.parameters_crc32,
    )


def _timestamp(at: datetime | None) -> float | None:
    return at.timestamp() if at is not None else None
