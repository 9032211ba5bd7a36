# SPDX-License-Identifier: Apache-2.0
"""Notices on their way: each is told once, and again only until it was taken. A small database of its own.

A restart forgets nothing that waits and repeats nothing that was taken. What was true before the first notice was
ever looked at is taken for known: who switches notices on is not told of last year.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reconciler.report.events import FleetEvent

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 900.0
GIVEN_UP_AFTER = 120  # tries: more than a day

_TABLE = """
    CREATE TABLE IF NOT EXISTS notice (
        key TEXT PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL, due REAL NOT NULL, taken INTEGER NOT NULL
    ) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """One notice that waits."""

    key: str
    body: bytes
    tries: int


class EventQueue:
    """The database. One thread at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fresh = not path.exists()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")  # after a power cut a notice may come twice
        self._db.execute(_TABLE)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def put(self, notices: Iterable[FleetEvent], now_s: float) -> None:
        """Take in what is true now; forget what was taken and is not true any more."""
        found = {notice.key: notice for notice in notices}
        for key, notice in found.items():
            body = json.dumps(notice.as_dict(), sort_keys=True)
            self._db.execute("INSERT OR IGNORE INTO notice VALUES (?, ?, 0, ?, ?)", (key, body, now_s, self._fresh))
        self._fresh = False
        told = [key for (key,) in self._db.execute("SELECT key FROM notice WHERE taken").fetchall()]
        self._db.executemany("DELETE FROM notice WHERE key = ?", [(key,) for key in told if key not in found])

    def due(self, now_s: float) -> list[QueuedEvent]:
        """Return what is to be told now, the oldest first."""
        asked = "SELECT key, body, tries FROM notice WHERE NOT taken AND due <= ? ORDER BY due"
        return [QueuedEvent(key, body.encode(), tries) for key, body, tries in self._db.execute(asked, (now_s,))]

    def taken(self, letter: QueuedEvent) -> None:
        """Note that it was taken."""
        self._db.execute("UPDATE notice SET taken = 1 WHERE key = ?", (letter.key,))

    def failed(self, letter: QueuedEvent, now_s: float) -> bool:
        """Put it off, twice as long each time; tell whether it is given up."""
        if letter.tries + 1 >= GIVEN_UP_AFTER:
            self.taken(letter)
            return True
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(letter.tries, 16))
        self._db.execute("UPDATE notice SET tries = tries + 1, due = ? WHERE key = ?", (now_s + wait_s, letter.key))
        return False
