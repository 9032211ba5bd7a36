# SPDX-License-Identifier: Apache-2.0
"""The calls that have begun and must not begin again, also after a restart of the daemon (docs/adr/0165)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from reconciler import sqlite_file
from reconciler.bus.local_storage import StorageUnusable
from reconciler.operations.limits import REMEMBERED_S
from reconciler.sqlite_file import DatabaseWriter

CALLS_FILE = "calls.db"  # in the gateway's state_dir
MIGRATIONS = (
    """
    CREATE TABLE begun (origin TEXT NOT NULL, call BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (origin, call))
        WITHOUT ROWID;
    CREATE INDEX begun_by_time ON begun (at);
    """,
)


class BegunCalls(DatabaseWriter):
    """Remembers calls of operations that are not idempotent for as long as a client may repeat them."""

    unusable = StorageUnusable

    def __init__(self, path: Path) -> None:
        try:
            opened = sqlite_file.open_database(path, _prepare, discard=sqlite_file.remove)
        except (sqlite3.OperationalError, OSError) as error:
            raise StorageUnusable(f"{path}: {error}; check the folder's owner, permissions and free space") from error
        super().__init__(path, opened)

    def begin(self, origin: str, call: bytes, now: float) -> bool:
        """Note that a call begins; return False if it has begun before. `now` is Unix time."""
        with self.transaction():
            self._db.execute("DELETE FROM begun WHERE at < ?", (now - REMEMBERED_S,))
            made = self._db.execute("INSERT OR IGNORE INTO begun VALUES (?, ?, ?)", (origin, call, now))
        return made.rowcount == 1


def _prepare(db: sqlite3.Connection) -> None:
    sqlite_file.check(db)
    sqlite_file.migrate(db, MIGRATIONS)
