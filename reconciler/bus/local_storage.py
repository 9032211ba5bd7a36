# SPDX-License-Identifier: Apache-2.0
"""The local storage of a gateway: buckets of items, in a database of its own (docs/adr/0122)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from reconciler import sqlite_file
from reconciler.errors import Unusable
from reconciler.model import Bucket, LocalStorage
from reconciler.sqlite_file import DatabaseReader, DatabaseWriter

STORAGE_FILE = "storage.db"  # in the gateway's state_dir
LISTED_MAX = 1000
MIGRATIONS = (
    """
    CREATE TABLE item (
        number INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, at REAL NOT NULL, data BLOB NOT NULL,
        origin TEXT NOT NULL, call BLOB NOT NULL,
        UNIQUE (bucket, origin, call)
    );
    CREATE INDEX item_by_bucket ON item (bucket, number);
    """,
)


class StorageUnusable(Unusable):
    """The local storage can't be opened or written."""

    reason: ClassVar[str] = "StorageUnusable"


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item without its data."""

    number: int
    at: float  # Unix time
    size: int


@dataclass(frozen=True, slots=True)
class BucketFigures:
    """How full a bucket is."""

    items: int = 0
    bytes: int = 0
    oldest: int = 0
    newest: int = 0


class StorageFull(Exception):
    """The item does not fit, although the bucket keeps no more than it may."""


class ItemReader(DatabaseReader):
    """What is in the buckets of one gateway."""

    def get(self, bucket: str, number: int) -> bytes | None:
        """Return the data of an item."""
        found = self._rows("SELECT data FROM item WHERE bucket = ? AND number = ?", (bucket, number))
        return bytes(found[0][0]) if found else None

    def newest(self, bucket: str, back: int) -> bytes | None:
        """Return the data of the newest item, or of one that was stored this many items before it."""
        if back < 0:
            return None
        statement = "SELECT data FROM item WHERE bucket = ? ORDER BY number DESC LIMIT 1 OFFSET ?"
        found = self._rows(statement, (bucket, back))
        return bytes(found[0][0]) if found else None

    def items(self, bucket: str, after: int) -> tuple[StoredItem, ...]:
        """Return the first items with higher numbers."""
        statement = "SELECT number, at, length(data) FROM item WHERE bucket = ? AND number > ? ORDER BY number LIMIT ?"
        return tuple(StoredItem(*row) for row in self._rows(statement, (bucket, after, LISTED_MAX)))

    def buckets(self) -> dict[str, BucketFigures]:
        """Return how full each bucket is that has items."""
        statement = "SELECT bucket, count(*), sum(length(data)), min(number), max(number) FROM item GROUP BY bucket"
        return {name: BucketFigures(*figures) for name, *figures in self._rows(statement)}


class ItemStore(DatabaseWriter, ItemReader):
    """The buckets of one gateway, for its daemon."""

    unusable = StorageUnusable

    def __init__(self, path: Path, changed: Callable[[], None] = lambda: None) -> None:
        try:
            opened = sqlite_file.open_database(path, _prepare)
        except (sqlite3.OperationalError, OSError) as error:
            raise StorageUnusable(f"{path}: {error}; check the folder's owner, permissions and free space") from error
        super().__init__(path, opened)
        self.refused: dict[str, str] = {}  # by bucket: why its last item was refused
        self._changed = changed  # called when that changes
        self._limit = 0
        self._buckets: Mapping[str, Bucket] = {}
        self._sizes: dict[str, tuple[int, int]] = {}  # items and bytes of each bucket
        for bucket, items, size in self._rows("SELECT bucket, count(*), sum(length(data)) FROM item GROUP BY bucket"):
            self._sizes[bucket] = (items, size)

    def configure(self, storage: LocalStorage) -> None:
        """Take over what Git wants. Items of buckets that it no longer has are deleted."""
        self._limit = storage.bytes
        self.refused.clear()
        self._buckets = {bucket.name: bucket for bucket in storage.buckets}
        for gone in self._sizes.keys() - self._buckets.keys():
            self._write("DELETE FROM item WHERE bucket = ?", (gone,))
            del self._sizes[gone]

    def put(self, bucket: str, data: bytes, origin: str, call: bytes, now: float) -> int:
        """Store an item, and delete what exceeds the bucket's limits; a call that is known returns its item."""
        by_call = "SELECT number FROM item WHERE bucket = ? AND origin = ? AND call = ?"
        known = self._rows(by_call, (bucket, origin, call))
        if known:
            return int(known[0][0])
        keep = self._buckets[bucket].keep
        others = sum(size for name, (_, size) in self._sizes.items() if name != bucket)
        allowed = min(keep.bytes, self._limit - others)
        if len(data) > allowed:
            why = f"{len(data)} bytes do not fit into the {max(0, allowed)} that the bucket may have"
            if self.refused.setdefault(bucket, why) is why:
                self._changed()
            raise StorageFull(why)
        if self.refused.pop(bucket, None) is not None:
            self._changed()
        with self.transaction():
            self._thin(bucket, now - keep.age_s, keep.items - 1, allowed - len(data))
            made = self._db.execute(
                "INSERT INTO item (bucket, at, data, origin, call) VALUES (?, ?, ?, ?, ?)",
                (bucket, now, data, origin, call),
            )
        self._count(bucket, 1, len(data))
        return int(made.lastrowid or 0)

    def expire(self, now: float) -> None:
        """Delete what is older than its bucket keeps: `put` does that only for a bucket that still gets items."""
        for name, bucket in self._buckets.items():
            keep = bucket.keep
            with self.transaction():
                self._thin(name, now - keep.age_s, keep.items, keep.bytes)

    def delete(self, bucket: str, number: int) -> bool:
        """Delete an item; return whether it existed."""
        data = self.get(bucket, number)
        if data is None:
            return False
        self._write("DELETE FROM item WHERE number = ?", (number,))
        self._count(bucket, -1, -len(data))
        return True

    def figures(self, bucket: str) -> BucketFigures:
        """Return how full a bucket is."""
        ((oldest, newest),) = self._rows("SELECT min(number), max(number) FROM item WHERE bucket = ?", (bucket,))
        return BucketFigures(*self._sizes.get(bucket, (0, 0)), oldest or 0, newest or 0)

    def fullness(self, bucket: str) -> tuple[int, int]:
        """Return the items and bytes of a bucket, as kept in memory: this can't fail."""
        return self._sizes.get(bucket, (0, 0))

    def _thin(self, bucket: str, since: float, items: int, size: int) -> None:
        """Delete the oldest items until the rest is new enough, few enough and small enough."""
        count, total = self._sizes.get(bucket, (0, 0))
        oldest = self._db.execute(
            "SELECT number, at, length(data) FROM item WHERE bucket = ? ORDER BY number", (bucket,)
        )
        last = None
        for number, at, length in oldest:
            if at >= since and count <= items and total <= size:
                break
            last, count, total = number, count - 1, total - length
        oldest.close()
        if last is not None:
            self._db.execute("DELETE FROM item WHERE bucket = ? AND number <= ?", (bucket, last))
            self._sizes[bucket] = (count, total)

    def _count(self, bucket: str, items: int, size: int) -> None:
        count, total = self._sizes.get(bucket, (0, 0))
        self._sizes[bucket] = (count + items, total + size)


@contextmanager
def read_storage(path: Path, *, daemon_runs: bool) -> Iterator[ItemReader]:
    """Open a local storage for reading, whether a daemon writes it or not; leaves no trace."""
    if not path.exists():
        raise StorageUnusable(f"{path} does not exist: no item was stored yet, or state_dir is another")
    try:
        with sqlite_file.open_read_only(path, writer_runs=daemon_runs) as db:
            yield ItemReader(db)
    except sqlite3.Error as error:
        raise StorageUnusable(f"{path}: {error}; are you allowed to read it?") from error


def _prepare(db: sqlite3.Connection) -> None:
    sqlite_file.check(db)
    sqlite_file.migrate(db, MIGRATIONS)
