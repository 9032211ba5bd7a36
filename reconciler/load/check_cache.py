# SPDX-License-Identifier: Apache-2.0
"""Caches the result of checking a blob, so that each blob is checked once.

In memory the cache holds typed values. On disk (SQLite) it holds the plain documents as JSON, each with
a SHA-256, keyed by blob id and by the version of the schemas and of this code. A damaged row counts as a
miss and a damaged file is deleted: losing the cache costs seconds. Nothing read from it is ever executed.

One source uses one cache, from one thread at a time. Several processes may share the file.
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

from reconciler import sqlite_file
from reconciler.load import schemas
from reconciler.load.document_check import CheckedDocument, CheckedFile
from reconciler.load.model_conversion import typed_value
from reconciler.validation.problems import Problem, Rule

FORMAT = "3"  # increase it when parsing, the messages or the stored form change
TABLE = (
    "CREATE TABLE IF NOT EXISTS found (key TEXT PRIMARY KEY, body BLOB NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a model document is compared with: facts of the file that it names."""

    sha256: str
    pointer: bool  # the blob is a Git LFS pointer; `sha256` is that of the file that it stands for


class CheckCache:
    """Check results and file facts by blob id. Use it as a context manager, or call `close`."""

    def __init__(self, path: Path | None = None, *, wait_s: float = 2.0) -> None:
        self.last: tuple[str, Any] | None = None  # the commit that was loaded last, and its `LoadResult`
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
        """Close the file; the cache continues in memory."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def checked(self, blob: str) -> CheckedFile | None:
        """Return the check result of a YAML file, or None if it is not known."""
        known = self._checked.get(blob)
        if known is None:
            stored = self._fetch(f"yaml:{blob}")
            known = None if stored is None else _checked_from(stored)
            if known is not None:
                self._checked[blob] = known
        return known

    def hold(self, blob: str, checked: CheckedFile) -> None:
        """Keep the check result of a YAML file in memory only."""
        self._checked[blob] = checked

    def remember_checked(self, blob: str, checked: CheckedFile, documents: list[Any]) -> None:
        """Keep the check result of a YAML file, in memory and on disk."""
        self._checked[blob] = checked
        self._store(f"yaml:{blob}", _checked_to(checked, documents))

    def facts(self, blob: str) -> FileFacts | None:
        """Return the facts of a model's file, or None if they are not known."""
        known = self._facts.get(blob)
        if known is None:
            stored = self._fetch(f"file:{blob}")
            if isinstance(stored, list) and len(stored) == 2:  # noqa: PLR2004 (the fields of FileFacts)
                known = self._facts[blob] = FileFacts(str(stored[0]), bool(stored[1]))
        return known

    def remember_facts(self, blob: str, facts: FileFacts) -> None:
        """Keep the facts of a model's file, in memory and on disk."""
        self._facts[blob] = facts
        self._store(f"file:{blob}", [facts.sha256, facts.pointer])

    def keep(self, blobs: Iterable[str]) -> None:
        """Drop all other blobs from memory, and from disk once most rows are unused."""
        used = set(blobs)
        for table in (self._checked, self._facts):
            for blob in [blob for blob in table if blob not in used]:
                del table[blob]
        if self._disk is not None:
            with self._disk_errors():
                self._sweep(self._disk, used)

    def save(self) -> None:
        """Commit to disk what was added since the last call, and release the lock for other processes."""
        if self._disk is not None:
            with self._disk_errors():
                self._disk.commit()

    def _sweep(self, disk: sqlite3.Connection, used: set[str]) -> None:
        rows = disk.execute("SELECT count(*) FROM found").fetchone()[0]
        if rows > 2 * len(used) + 1000:
            keys = {self._key(f"{kind}:{blob}") for blob in used for kind in ("yaml", "file")}
            stored = [key for (key,) in disk.execute("SELECT key FROM found")]
            disk.executemany("DELETE FROM found WHERE key = ?", [(key,) for key in stored if key not in keys])

    def _key(self, name: str) -> str:
        return f"{self._version}:{name}"

    def _fetch(self, name: str) -> object:
        key = self._key(name)
        if self._disk is not None:
            with self._disk_errors():
                row = self._disk.execute("SELECT body, sha256 FROM found WHERE key = ?", (key,)).fetchone()
                if row and row[1] == _checksum(key, row[0]):
                    return json.loads(row[0])
        return None

    def _store(self, name: str, value: object) -> None:
        if self._disk is not None:
            key, body = self._key(name), json.dumps(value, separators=(",", ":")).encode()
            with self._disk_errors():
                self._disk.execute("INSERT OR REPLACE INTO found VALUES (?, ?, ?)", (key, body, _checksum(key, body)))

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Continue in memory if the file is locked, full or damaged; a damaged file is replaced."""
        try:
            yield
        except sqlite3.OperationalError:  # locked or full: the next process may succeed
            self.close()
        except sqlite3.DatabaseError:
            self.close()
            if self._path is not None:
                sqlite_file.remove(self._path)
                self._disk = _open(self._path, self._wait_s)


def _open(path: Path, wait_s: float) -> sqlite3.Connection | None:
    """Open the file, or continue without it if it cannot be opened; a damaged one is replaced."""
    try:
        opened = sqlite_file.open_database(
            path, lambda db: db.execute(TABLE), discard=sqlite_file.remove, autocommit=False, wait_s=wait_s
        )
    except (OSError, sqlite3.DatabaseError):
        return None
    return opened.connection


def _checksum(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + body).digest()


def _checked_to(checked: CheckedFile, documents: list[Any]) -> list[object]:
    items = [
        (each.kind, each.name, each.line, each.column, documents[each.index] if each.value is not None else None)
        for each in checked.documents
    ]
    return [items, [astuple(problem) for problem in checked.problems], checked.complete]


def _checked_from(stored: Any) -> CheckedFile:  # noqa: ANN401 (JSON that this module wrote)
    """Rebuild what `_checked_to` wrote; the checksum guarantees that it was written by this code."""
    raw_documents, raw_problems, complete = stored
    documents = tuple(
        CheckedDocument(kind, name, None if document is None else typed_value(kind, document), index, line, column)
        for index, (kind, name, line, column, document) in enumerate(raw_documents)
    )
    problems = tuple(
        Problem(path, line, column, at, Rule(rule), message, hint)
        for path, line, column, at, rule, message, hint in raw_problems
    )
    return CheckedFile(documents, problems, complete)
