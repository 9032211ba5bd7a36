# SPDX-License-Identifier: Apache-2.0
"""SQLite files: opened with a write-ahead log and a damaged file out of the way, written by one, read by many.

A damaged file must never keep a gateway from starting. Its state can be asked again from Git and the devices; lost
samples (reconciler.knowledge) only delay what would be decided from them. A file that is locked, read-only or on a full
disk is not damaged: SQLite reports that as an `OperationalError`, which is the caller's to handle.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

Value = str | int | float | bytes | None
Row = tuple[Any, ...]
SIDE_FILES = ("", "-wal", "-shm")  # suffixes of the files that make up one database

Prepare = Callable[
    [sqlite3.Connection], object
]  # checks a file and creates its tables; raises DatabaseError if damaged
Discard = Callable[[Path], None]  # gets a damaged file out of the way


@dataclass(frozen=True, slots=True)
class OpenedDatabase:
    """A connection, and what was wrong with the file that was found, if anything."""

    connection: sqlite3.Connection
    damage: str | None = None


class DatabaseReader:
    """Typed questions to a database: the base of one class for each kind of file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy, whatever a writer does meanwhile."""
        with closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)

    def _rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        return self._db.execute(statement, values).fetchall()


class DatabaseWriter(DatabaseReader):
    """The one writer of a database. `recovered` says what was wrong with a file that was set aside.

    Several threads share its connection, one statement or transaction at a time. The class for a kind of file derives
    from this one first and then from its reader, so that its questions wait for their turn too.
    """

    unusable: ClassVar[type[Exception]]  # what SQLite's errors become

    def __init__(self, path: Path, opened: OpenedDatabase) -> None:
        super().__init__(opened.connection)
        self.path = path
        self.recovered = opened.damage
        self._lock = threading.RLock()

    def close(self) -> None:
        """Write everything to the main file and close it; the file can be copied afterwards."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside one transaction."""
        with self._lock, self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite ends the transaction itself when the disk is full
                    self._db.execute("ROLLBACK")
                raise

    def _write(self, statement: str, values: Sequence[Value] = ()) -> None:
        with self._lock, self._translated():
            self._db.execute(statement, values)

    def _write_all(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        with self._lock, self._translated():
            self._db.executemany(statement, rows)

    def _rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        with self._lock, self._translated():
            return super()._rows(statement, values)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's errors about files and disks into one that an operator can act on."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.unusable(f"{self.path}: {error}; is the disk full, or the file not ours?") from error


def set_aside(path: Path) -> None:
    """Rename a database so that its owner can look at it later."""
    for suffix in SIDE_FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.replace(file.with_name(f"{file.name}.damaged"))


def remove(path: Path) -> None:
    """Delete a database, as far as permissions allow."""
    for suffix in SIDE_FILES:
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def open_database(
    path: Path, prepare: Prepare, *, discard: Discard = set_aside, autocommit: bool = True, wait_s: float = 5.0
) -> OpenedDatabase:
    """Open a file for reading and writing; replace it with an empty one if it is damaged.

    The connection may be handed from thread to thread, but only one thread may use it at a time. Without `autocommit`
    the caller commits. `wait_s` is how long to wait for another process that holds the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return OpenedDatabase(_connected(path, prepare, autocommit=autocommit, wait_s=wait_s))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        discard(path)
        return OpenedDatabase(_connected(path, prepare, autocommit=autocommit, wait_s=wait_s), str(error))


@contextmanager
def open_read_only(path: Path, *, writer_runs: bool) -> Iterator[sqlite3.Connection]:
    """Open a file that another process may be writing, without leaving a trace next to it.

    Without a writer the file can't change, so SQLite needs no side files and no write permission in the folder.
    """
    with_log = writer_runs or path.with_name(path.name + "-wal").exists()
    options = "mode=ro" if with_log else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True)) as connection:
        yield connection


def check(db: sqlite3.Connection) -> None:
    """Read the whole file once; raises `DatabaseError` if it is damaged."""
    (result,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result)


def migrate(db: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the migrations that a database lacks, each in a transaction of its own."""
    found = version(db)
    if found > len(migrations):
        raise sqlite3.DatabaseError(f"made by a newer release (version {found})")
    for number in range(found, len(migrations)):
        db.executescript(f"BEGIN;{migrations[number]};PRAGMA user_version={number + 1};COMMIT;")


def version(db: sqlite3.Connection) -> int:
    """Return the version of a database: how many migrations it has seen."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)


def _connected(path: Path, prepare: Prepare, *, autocommit: bool, wait_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait_s, check_same_thread=False)
    try:
        if autocommit:
            connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # after a power cut the last changes may be missing
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection
