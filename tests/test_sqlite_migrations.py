# SPDX-License-Identifier: Apache-2.0
"""A database of an older release is brought up to date, one migration after the other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from reconciler import sqlite_file

FIRST = "CREATE TABLE a (x)"
SECOND = "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)"
BROKEN = "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        yield opened


def test_only_missing_migrations_are_run(db: sqlite3.Connection) -> None:
    sqlite_file.migrate(db, (FIRST,))
    assert sqlite_file.version(db) == 1
    sqlite_file.migrate(db, (FIRST, SECOND))
    sqlite_file.migrate(db, (FIRST, SECOND))
    assert sqlite_file.version(db) == 2
    assert db.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]


def test_a_migration_that_fails_leaves_the_version_before_it(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError):
        sqlite_file.migrate(db, (FIRST, BROKEN))
    db.execute("ROLLBACK")
    assert sqlite_file.version(db) == 1
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]


def test_a_newer_version_is_refused(db: sqlite3.Connection) -> None:
    sqlite_file.migrate(db, (FIRST, SECOND))
    with pytest.raises(sqlite3.DatabaseError, match="newer release"):
        sqlite_file.migrate(db, (FIRST,))
