# SPDX-License-Identifier: Apache-2.0
"""The tables of the knowledge base, and how a file of an older release is brought up to date."""

from __future__ import annotations

import sqlite3
from typing import ClassVar

from reconciler import sqlite_file
from reconciler.errors import Unusable

KNOWLEDGE_FILE = "knowledge.db"  # in the gateway's state_dir

# An estimate of the bytes that a sample takes, with its indexes and some twenty votes.
SAMPLE_BYTES = "384 + length(features) + coalesce(length(window), 0)"

# The columns of a key come first in a table without row numbers: with a column between them that may be NULL, the
# quick check of SQLite 3.40 takes the table for damaged.
#
# Each entry brings a database from version i to i + 1 (PRAGMA user_version). Once released, an entry never changes.
# Ids of samples only grow, so a voter's position says which samples it has voted on.
MIGRATIONS = (
    """
    CREATE TABLE fact (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID;
    CREATE TABLE position (
        device TEXT NOT NULL, log INTEGER NOT NULL, offset INTEGER NOT NULL,
        lost_bytes INTEGER NOT NULL, unreadable_bytes INTEGER NOT NULL,
        PRIMARY KEY (device, log)
    ) WITHOUT ROWID;
    CREATE TABLE sample (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        contest TEXT NOT NULL, device TEXT NOT NULL, log INTEGER NOT NULL, offset INTEGER NOT NULL,
        boots INTEGER NOT NULL, uptime_ms INTEGER NOT NULL, inferences INTEGER NOT NULL, score INTEGER NOT NULL,
        anomalous INTEGER NOT NULL, skipped INTEGER NOT NULL, context BLOB NOT NULL, weight INTEGER NOT NULL,
        received_at REAL NOT NULL, element_type INTEGER NOT NULL, features BLOB NOT NULL, window BLOB,
        UNIQUE (device, log, boots, offset)
    );
    CREATE INDEX sample_by_contest ON sample (contest, id);
    CREATE TABLE context (
        context BLOB PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
        parameters TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE voter (
        id INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, threshold REAL, source TEXT NOT NULL
    );
    CREATE UNIQUE INDEX voter_by_name ON voter (model, version, ifnull(threshold, 'none'), source);
    CREATE TABLE verdict (
        sample INTEGER NOT NULL REFERENCES sample ON DELETE CASCADE, voter INTEGER NOT NULL, vote INTEGER,
        PRIMARY KEY (sample, voter)
    ) WITHOUT ROWID;
    CREATE TABLE progress (
        contest TEXT NOT NULL, voter INTEGER NOT NULL, last_sample INTEGER NOT NULL,
        PRIMARY KEY (contest, voter)
    ) WITHOUT ROWID;
    CREATE TABLE label (
        sample INTEGER PRIMARY KEY REFERENCES sample ON DELETE CASCADE,
        anomalous INTEGER NOT NULL, author TEXT NOT NULL, labelled_at REAL NOT NULL
    );
    CREATE TABLE round (
        contest TEXT NOT NULL, began_at REAL NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, threshold REAL,
        proposed INTEGER NOT NULL,
        PRIMARY KEY (contest, began_at)
    ) WITHOUT ROWID;
    CREATE TABLE proposal (
        contest TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, threshold REAL, proposed_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE declined (
        contest TEXT NOT NULL, declined_at REAL NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, threshold REAL,
        PRIMARY KEY (contest, declined_at)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE learned (
        device TEXT PRIMARY KEY, contest TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,
        digest TEXT NOT NULL, generation INTEGER NOT NULL, sha256 BLOB NOT NULL, rows INTEGER NOT NULL,
        anomalous INTEGER NOT NULL, pack BLOB NOT NULL, received_at REAL NOT NULL
    ) WITHOUT ROWID;
    """,
)


class KnowledgeUnusable(Unusable):
    """The knowledge base can't be opened, read or written: permissions, or a full disk."""

    reason: ClassVar[str] = "KnowledgeUnusable"


def prepare(db: sqlite3.Connection) -> None:
    """Check a database that was just opened, and bring it to this release's version.

    A sample exists nowhere else once its device has overwritten it, so a commit must survive a loss of power.
    """
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    sqlite_file.check(db)
    sqlite_file.migrate(db, MIGRATIONS)
