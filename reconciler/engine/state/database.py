# SPDX-License-Identifier: Apache-2.0
"""What the gateway remembers, in SQLite: what devices said, what was built, what failed, what was sent.

One writer. The tables hold what was *heard* (verified bodies as they came), never what was concluded from it:
conclusions are drawn anew by observe.py, so a better release sees old facts with new eyes. Nothing here is precious: a
damaged file is set aside and the truth asked again from Git and the devices.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from reconciler.errors import Unusable
from reconciler.model import Artifact, Commit, DeviceId, Digest, ModelRef, Parameters, RolloutId, TypeId, Version

Value = str | int | float | bytes | None

# Each entry brings a database from version i to i + 1 (PRAGMA user_version); entries are never changed, only added.
MIGRATIONS = (
    """
    CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE device (
        name TEXT PRIMARY KEY,
        seen_at REAL NOT NULL,
        confirmed_since REAL,
        report BLOB NOT NULL,
        capabilities BLOB,
        parameters TEXT NOT NULL DEFAULT '{}',
        parameters_check INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE TABLE artifact (
        model TEXT NOT NULL, version TEXT NOT NULL, type TEXT NOT NULL,
        source TEXT NOT NULL, digest TEXT NOT NULL, pack_bytes INTEGER NOT NULL, arena_bytes INTEGER NOT NULL,
        operators TEXT NOT NULL,
        PRIMARY KEY (model, version, type)
    ) WITHOUT ROWID;
    CREATE TABLE quarantine (
        device TEXT NOT NULL, digest TEXT NOT NULL, why TEXT NOT NULL, rollout TEXT NOT NULL, revision TEXT NOT NULL,
        PRIMARY KEY (device, digest)
    ) WITHOUT ROWID;
    CREATE TABLE delivery (
        device TEXT PRIMARY KEY, digest TEXT NOT NULL, sequence INTEGER NOT NULL, envelope BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE status (path TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE summary (
        device TEXT NOT NULL, running TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (device, running)
    ) WITHOUT ROWID;
    CREATE TABLE history (
        device TEXT PRIMARY KEY, public_key TEXT NOT NULL, counter INTEGER NOT NULL, highest INTEGER NOT NULL,
        sequence INTEGER NOT NULL, alternations INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE evidence (
        device TEXT PRIMARY KEY, running TEXT NOT NULL, since REAL NOT NULL, body BLOB NOT NULL, seconds REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE before (
        device TEXT PRIMARY KEY, revision TEXT NOT NULL, running TEXT, parameters TEXT NOT NULL, body BLOB,
        seconds REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE unrest (device TEXT PRIMARY KEY, flaps INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE rollout (
        name TEXT PRIMARY KEY, revision TEXT NOT NULL, stopped TEXT NOT NULL, stopped_at REAL, completed_at REAL
    ) WITHOUT ROWID;
    """,
)


FORGOTTEN = (
    ("device", "name"),
    ("delivery", "device"),
    ("quarantine", "device"),
    ("summary", "device"),
    ("history", "device"),
    ("evidence", "device"),
    ("before", "device"),
    ("unrest", "device"),
)


class StateUnusable(Unusable):
    """The database can't be written: permissions, or a full disk."""

    reason: ClassVar[str] = "StateUnusable"


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """The last that a device said of itself, as it came, and what was sent to it."""

    device: DeviceId
    seen_at: datetime
    report: bytes
    capabilities: bytes | None = None
    confirmed_since: datetime | None = None
    parameters: Parameters | None = None  # as Git has them, when they were set by us
    parameters_check: int = 0  # the CRC-32 that the device tells while it holds just those


@dataclass(frozen=True, slots=True)
class Delivery:
    """An order that a device may have accepted: repeated to the letter, it goes on where it was."""

    digest: Digest
    sequence: int
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """A pack that failed on a device, and what Git wanted when it did."""

    device: DeviceId
    digest: Digest
    why: str
    rollout: RolloutId
    revision: str  # changes when the rollout does: then the pack gets another chance


class StateDatabase:
    """The database. `recovered` tells what was wrong with the file that was found, if anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recovered: str | None = None
        self._writing = threading.RLock()  # the loop's thread and the one that waits for Git share one connection
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._opened()
        except sqlite3.OperationalError as error:
            raise StateUnusable(f"{path}: {error}; check the folder's owner, its permissions and free space") from error
        except sqlite3.DatabaseError as error:
            self.recovered = str(error)
            self._set_aside()
            self._db = self._opened()

    def close(self) -> None:
        """Write everything and close; the file can be copied afterwards."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            _check(db)
            _migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                file.replace(file.with_name(f"{file.name}.damaged"))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLite says of files and disks into what a person can mend."""
        try:
            yield
        except sqlite3.Error as error:
            raise StateUnusable(f"{self.path}: {error}; is the disk full, or the file not ours?") from error

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all that happens inside one transaction."""
        with self._writing, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it by itself
                    self._db.execute("ROLLBACK")
                raise

    def write(self, statement: str, values: Sequence[Value] = ()) -> None:
        """Change something; tables that belong to one module are written by that module."""
        with self._writing, self._translated():
            self._db.execute(statement, values)

    def read(self, statement: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Return all rows."""
        with self._writing, self._translated():
            return self._db.execute(statement, values).fetchall()

    # ------------------------------------------------------------ single facts

    @property
    def applied(self) -> Commit | None:
        """Return the commit that is enforced."""
        rows = self.read("SELECT value FROM fact WHERE name = 'applied'")
        return Commit(rows[0][0]) if rows else None

    @applied.setter
    def applied(self, commit: Commit) -> None:
        self.write("INSERT OR REPLACE INTO fact VALUES ('applied', ?)", (commit,))

    # ------------------------------------------------------------ devices

    def hear(self, heard: DeviceRecord) -> None:
        """Keep the last that a device said."""
        self.write(
            "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                heard.device,
                heard.seen_at.timestamp(),
                heard.confirmed_since.timestamp() if heard.confirmed_since else None,
                heard.report,
                heard.capabilities,
                json.dumps(dict(heard.parameters or {})),
                heard.parameters_check,
            ),
        )

    def heard(self) -> list[DeviceRecord]:
        """Return what every device said last."""
        rows = self.read("SELECT * FROM device")
        return [
            DeviceRecord(
                DeviceId(name),
                datetime.fromtimestamp(seen_at, UTC),
                report,
                capabilities,
                datetime.fromtimestamp(since, UTC) if since is not None else None,
                json.loads(parameters),
                check,
            )
            for name, seen_at, since, report, capabilities, parameters, check in rows
        ]

    def forget(self, device: DeviceId) -> None:
        """Forget a device that Git no longer knows."""
        for table, column in FORGOTTEN:
            self.write(f"DELETE FROM {table} WHERE {column} = ?", (device,))  # noqa: S608 - names are ours

    # ------------------------------------------------------------ artifacts

    def built(self, artifact: Artifact, source: str) -> None:
        """Keep the facts of an artifact; `source` names all that it was made of."""
        self.write(
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

    def artifacts(self) -> list[tuple[Artifact, str]]:
        """Return all artifacts, each with what it was made of."""
        rows = self.read("SELECT * FROM artifact")
        return [
            (
                Artifact(
                    ModelRef(model, Version(version)),
                    TypeId(kind),
                    Digest(digest),
                    pack_bytes,
                    arena_bytes,
                    frozenset(json.loads(operators)),
                ),
                source,
            )
            for model, version, kind, source, digest, pack_bytes, arena_bytes, operators in rows
        ]

    # ------------------------------------------------------------ failures and deliveries

    def quarantine(self, failure: Failure) -> None:
        """Note that a pack failed on a device."""
        self.write("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?)", astuple(failure))

    def quarantined(self) -> list[Failure]:
        """Return what failed where, and why."""
        rows = self.read("SELECT * FROM quarantine")
        return [Failure(DeviceId(row[0]), Digest(row[1]), row[2], RolloutId(row[3]), row[4]) for row in rows]

    def release(self, device: DeviceId, digest: Digest) -> None:
        """Take a pack out of quarantine, because Git changed."""
        self.write("DELETE FROM quarantine WHERE device = ? AND digest = ?", (device, digest))

    def sending(self, device: DeviceId, delivery: Delivery) -> None:
        """Note an order before it is sent."""
        self.write(
            "INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?)",
            (device, delivery.digest, delivery.sequence, delivery.envelope),
        )

    def delivery(self, device: DeviceId) -> Delivery | None:
        """Return the last order that was sent to a device."""
        rows = self.read("SELECT digest, sequence, envelope FROM delivery WHERE device = ?", (device,))
        return Delivery(Digest(rows[0][0]), rows[0][1], rows[0][2]) if rows else None

    # ------------------------------------------------------------ the last status

    def write_status(self, files: dict[str, bytes], gone: set[str]) -> None:
        """Keep the status files as they are to be committed."""
        with self.together():
            self._db.executemany("INSERT OR REPLACE INTO status VALUES (?, ?)", files.items())
            self._db.executemany("DELETE FROM status WHERE path = ?", [(path,) for path in gone])

    def status(self) -> dict[str, bytes]:
        """Return the status files as they are, committed or waiting for it."""
        return dict(self.read("SELECT path, body FROM status"))


def _check(db: sqlite3.Connection) -> None:
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _migrate(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise sqlite3.DatabaseError(f"made by a newer release (version {version})")
    for number in range(version, len(MIGRATIONS)):
        db.executescript(f"BEGIN;{MIGRATIONS[number]};PRAGMA user_version={number + 1};COMMIT;")
