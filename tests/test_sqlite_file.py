# SPDX-License-Identifier: Apache-2.0
"""A SQLite file opens. A damaged one is replaced; one that is in use or is not ours is not touched."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from reconciler import sqlite_file

GARBAGE = b"not a database at all" * 100


def prepare(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE IF NOT EXISTS item (name)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "items.db"


def test_a_new_file_is_created_with_a_write_ahead_log(path: Path) -> None:
    opened = sqlite_file.open_database(path, prepare)
    with closing(opened.connection) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        db.execute("INSERT INTO item VALUES ('a')")  # committed at once
    assert opened.damage is None
    with closing(sqlite_file.open_database(path, prepare).connection) as db:
        assert db.execute("SELECT name FROM item").fetchall() == [("a",)]


def test_without_autocommit_the_caller_commits(path: Path) -> None:
    with closing(sqlite_file.open_database(path, prepare, autocommit=False).connection) as db:
        db.execute("INSERT INTO item VALUES ('a')")
        db.commit()
        db.execute("INSERT INTO item VALUES ('b')")
    with closing(sqlite_file.open_database(path, prepare).connection) as db:
        assert db.execute("SELECT name FROM item").fetchall() == [("a",)]


def test_a_damaged_file_is_moved_away(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(GARBAGE)
    opened = sqlite_file.open_database(path, prepare)
    opened.connection.close()
    assert opened.damage
    assert path.with_name("items.db.damaged").read_bytes() == GARBAGE


def test_a_damaged_file_may_be_removed_instead(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(GARBAGE)
    opened = sqlite_file.open_database(path, prepare, discard=sqlite_file.remove)
    opened.connection.close()
    assert opened.damage
    assert [file.name for file in path.parent.iterdir()] == ["items.db"]


def test_a_file_that_another_process_holds_is_not_damaged(path: Path) -> None:
    def write(db: sqlite3.Connection) -> None:
        prepare(db)
        db.execute("INSERT INTO item VALUES ('b')")

    with closing(sqlite_file.open_database(path, prepare).connection) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("INSERT INTO item VALUES ('a')")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite_file.open_database(path, write, wait_s=0.05)
        holder.execute("COMMIT")
    assert not path.with_name("items.db.damaged").exists()


def test_a_read_only_connection_can_not_write(path: Path) -> None:
    with closing(sqlite_file.open_database(path, prepare).connection) as db:
        db.execute("INSERT INTO item VALUES ('a')")
        with sqlite_file.open_read_only(path, writer_runs=True) as reader:
            assert reader.execute("SELECT name FROM item").fetchall() == [("a",)]
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.execute("DELETE FROM item")


def test_without_a_writer_a_reader_leaves_no_trace(path: Path) -> None:
    sqlite_file.open_database(path, prepare).connection.close()
    with sqlite_file.open_read_only(path, writer_runs=False) as reader:
        assert reader.execute("SELECT name FROM item").fetchall() == []
        assert [file.name for file in path.parent.iterdir()] == ["items.db"]
