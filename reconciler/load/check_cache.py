# SPDX-License-Identifier: Apache-2.0
"""What was found out about a blob, kept so that it is found out once.

In memory the checked values themselves; on disk (SQLite) the plain documents as JSON with a SHA-256
over them, keyed by blob id and by the version of schemas and code. A damaged row is a miss and a damaged
file is thrown away: losing the cache costs seconds, and nothing is ever executed out of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reconciler.load import schemas
from reconciler.load.document_check import CheckedFile, Item
from reconciler.load.problems import Problem, Rule
from reconciler.load.typed_values import value_of

FORMAT = "1"  # raise it when the reading of YAML or the stored form changes
TABLE = (
    "CREATE TABLE IF NOT EXISTS found (key TEXT PRIMARY KEY, body BLOB NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a model needs to know of its file."""

    sha256: str
    pointer: bool  # a Git LFS pointer stands in its place


class CheckCache:
    """Facts by blob, for one source. Use it as a context manager, or call `close`."""

    def __init__(self, path: Path | None = None, *, wait_s: float = 2.0) -> None:
        self.last: tuple[str, Any] | None = None  # the commit loaded last, and what came of it
        self._version = f"{FORMAT}:{schemas.version()[:16]}"
        self._checked: dict[str, CheckedFile] = {}
        self._facts: dict[str, FileFacts] = {}
        self._path = path
        self._wait_s = wait_s
        self._disk = _open(path, wait_s) if path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def checked(self, blob: str) -> CheckedFile | None:
        """Return what a file of YAML was found to say, or None if nobody looked yet."""
        known = self._checked.get(blob)
        if known is None:
            stored = self._fetch(f"yaml:{blob}")
            known = None if stored is None else _checked_from(stored)
            if known is not None:
                self._checked[blob] = known
        return known

    def hold(self, blob: str, checked: CheckedFile) -> None:
        """Keep what a file of YAML says in memory alone."""
        self._checked[blob] = checked

    def remember_checked(self, blob: str, checked: CheckedFile, documents: list[Any]) -> None:
        """Keep what a file of YAML says."""
        self._checked[blob] = checked
        self._store(f"yaml:{blob}", _checked_to(checked, documents))

    def facts(self, blob: str) -> FileFacts | None:
        """Return what is known of a model's file."""
        known = self._facts.get(blob)
        if known is None:
            stored = self._fetch(f"file:{blob}")
            if isinstance(stored, list) and len(stored) == 2:  # noqa: PLR2004 (the fields of FileFacts)
                known = self._facts[blob] = FileFacts(str(stored[0]), bool(stored[1]))
        return known

    def remember_facts(self, blob: str, facts: FileFacts) -> None:
        """Keep what is known of a model's file."""
        self._facts[blob] = facts
        self._store(f"file:{blob}", [facts.sha256, facts.pointer])

    def keep(self, blobs: Iterable[str]) -> None:
        """Forget every blob but these in memory, and on disk once most of it is of no use."""
        wanted = set(blobs)
        for table in (self._checked, self._facts):
            for blob in [blob for blob in table if blob not in wanted]:
                del table[blob]
        if self._disk is not None:
            with self._trouble():
                self._sweep(self._disk, wanted)

    def save(self) -> None:
        """Write to disk what was kept since the last time, and let other processes at it."""
        if self._disk is not None:
            with self._trouble():
                self._disk.commit()

    def _sweep(self, disk: sqlite3.Connection, wanted: set[str]) -> None:
        rows = disk.execute("SELECT count(*) FROM found").fetchone()[0]
        if rows > 2 * len(wanted) + 1000:
            keys = {self._key(f"{kind}:{blob}") for blob in wanted for kind in ("yaml", "file")}
            stored = [key for (key,) in disk.execute("SELECT key FROM found")]
            disk.executemany("DELETE FROM found WHERE key = ?", [(key,) for key in stored if key not in keys])

    def _key(self, name: str) -> str:
        return f"{self._version}:{name}"

    def _fetch(self, name: str) -> object:
        key = self._key(name)
        if self._disk is not None:
            with self._trouble():
                row = self._disk.execute("SELECT body, sha256 FROM found WHERE key = ?", (key,)).fetchone()
                if row and row[1] == _seal(key, row[0]):
                    return json.loads(row[0])
        return None

    def _store(self, name: str, value: object) -> None:
        if self._disk is not None:
            key, body = self._key(name), json.dumps(value, separators=(",", ":")).encode()
            with self._trouble():
                self._disk.execute("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", (key, body, _seal(key, body)))

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        """Go on without the file when it is damaged, locked or full."""
        try:
            yield
        except sqlite3.OperationalError:  # busy or full: it may be better next time
            self.close()
        except sqlite3.DatabaseError:
            self.close()
            if self._path is not None:
                _remove(self._path)
                self._disk = _open(self._path, self._wait_s)


def _open(path: Path, wait_s: float) -> sqlite3.Connection | None:
    for _attempt in range(2):
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            disk = sqlite3.connect(path, timeout=wait_s, check_same_thread=False)
            disk.execute("PRAGMA journal_mode=WAL")
            disk.execute("PRAGMA synchronous=NORMAL")
            disk.execute(TABLE)
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            _remove(path)
        else:
            return disk
    return None


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def _seal(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + body).digest()


def _checked_to(checked: CheckedFile, documents: list[Any]) -> list[object]:
    items = [
        (item.kind, item.name, item.line, item.column, documents[item.index] if item.value is not None else None)
        for item in checked.items
    ]
    return [items, [astuple(problem) for problem in checked.problems], checked.whole]


def _checked_from(stored: Any) -> CheckedFile:  # noqa: ANN401 (JSON that we wrote and sealed)
    """Rebuild what `_checked_to` wrote; the seal says that it is what we wrote."""
    raw_items, raw_problems, whole = stored
    items = tuple(
        Item(kind, name, None if document is None else value_of(kind, document), index, line, column)
        for index, (kind, name, line, column, document) in enumerate(raw_items)
    )
    problems = tuple(
        Problem(path, line, column, at, Rule(rule), message, hint)
        for path, line, column, at, rule, message, hint in raw_problems
    )
    return CheckedFile(items, problems, whole)
