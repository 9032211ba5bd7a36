# SPDX-License-Identifier: Apache-2.0
"""Events that wait for the webhook's receiver, in a small database of their own: each is sent until it is taken.

A restart loses no event that waits and repeats none that was taken. What is already true when the queue is first filled
counts as taken: an operator who switches events on does not get last year's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reconciler import sqlite_file
from reconciler.report.rollout_events import FleetEvent

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 900.0
GIVEN_UP_AFTER = 120  # tries: more than a day

_TABLE = """
    CREATE TABLE IF NOT EXISTS event (
        key TEXT PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL, due REAL NOT NULL, taken INTEGER NOT NULL
    ) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """One event that waits."""

    key: str
    body: bytes
    tries: int


class EventQueue:
    """The queue. Threads may take turns with it, but only one may use it at a time."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists()
        opened = sqlite_file.open_database(path, lambda db: db.execute(_TABLE))
        self._fresh = is_new or opened.damage is not None  # until it is first filled
        self._db = opened.connection

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, events: Iterable[FleetEvent], now_s: float) -> None:
        """Add the events that are true now; forget those that were taken and are no longer true."""
        found = {event.key: event for event in events}
        for key, event in found.items():
            body = json.dumps(event.as_dict(), sort_keys=True)
            self._db.execute("INSERT OR IGNORE INTO event VALUES (?, ?, 0, ?, ?)", (key, body, now_s, self._fresh))
        self._fresh = False
        taken = [key for (key,) in self._db.execute("SELECT key FROM event WHERE taken").fetchall()]
        self._db.executemany("DELETE FROM event WHERE key = ?", [(key,) for key in taken if key not in found])

    def due(self, now_s: float) -> list[QueuedEvent]:
        """Return the events to be sent now, the oldest first."""
        statement = "SELECT key, body, tries FROM event WHERE NOT taken AND due <= ? ORDER BY due"
        return [QueuedEvent(key, body.encode(), tries) for key, body, tries in self._db.execute(statement, (now_s,))]

    def taken(self, event: QueuedEvent) -> None:
        """Record that the receiver took an event."""
        self._db.execute("UPDATE event SET taken = 1 WHERE key = ?", (event.key,))

    def failed(self, event: QueuedEvent, now_s: float) -> bool:
        """Delay an event, twice as long each time; return whether it is given up instead."""
        if event.tries + 1 >= GIVEN_UP_AFTER:
            self.taken(event)
            return True
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(event.tries, 16))
        self._db.execute("UPDATE event SET tries = tries + 1, due = ? WHERE key = ?", (now_s + wait_s, event.key))
        return False
