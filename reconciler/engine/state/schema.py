# SPDX-License-Identifier: Apache-2.0
"""The tables of the state database, and how a file of an older release is brought up to date.

The tables hold what was reported (verified bodies as they came), never what was concluded from it. Conclusions are
drawn again from the reports, so a better release reads old reports in a better way.
"""

from __future__ import annotations

import sqlite3

from reconciler import sqlite_file

STATE_FILE = "state.db"  # in the gateway's state_dir

# Each entry brings a database from version i to i + 1 (PRAGMA user_version). Once released, an entry never changes.
MIGRATIONS = (
    """
    CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE device (
        device TEXT PRIMARY KEY,
        seen_at REAL NOT NULL,
        confirmed_since REAL,
        report BLOB NOT NULL,
        capabilities BLOB,
        parameters TEXT NOT NULL DEFAULT '{}',
        parameters_crc32 INTEGER NOT NULL DEFAULT 0
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
    CREATE TABLE sent_order (
        device TEXT PRIMARY KEY, digest TEXT NOT NULL, sequence INTEGER NOT NULL, envelope BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE summary (
        device TEXT NOT NULL, running TEXT NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (device, running)
    ) WITHOUT ROWID;
    CREATE TABLE identity (
        device TEXT PRIMARY KEY, public_key TEXT NOT NULL, counter INTEGER NOT NULL, max_counter INTEGER NOT NULL,
        max_sequence INTEGER NOT NULL, alternations INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE gate_evidence (
        device TEXT PRIMARY KEY, running TEXT NOT NULL, since REAL NOT NULL, body BLOB NOT NULL, seconds REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE baseline (
        device TEXT PRIMARY KEY, revision TEXT NOT NULL, running TEXT, parameters TEXT NOT NULL, body BLOB,
        seconds REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE flapping (device TEXT PRIMARY KEY, flaps INTEGER NOT NULL, flapped_at REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE rollout (
        rollout TEXT PRIMARY KEY, revision TEXT NOT NULL, stopped TEXT NOT NULL, stopped_at REAL, completed_at REAL
    ) WITHOUT ROWID;
    CREATE TABLE status_file (path TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE summary ADD COLUMN at REAL;
    """,
)

OF_A_DEVICE = ("device", "sent_order", "quarantine", "summary", "identity", "gate_evidence", "baseline", "flapping")


def prepare(db: sqlite3.Connection) -> None:
    """Check a database that was just opened, and bring it to this release's version."""
    sqlite_file.check(db)
    sqlite_file.migrate(db, MIGRATIONS)
