# SPDX-License-Identifier: Apache-2.0
"""Status files into the gateway's status ref: one commit per change, not too often, none when nothing changed.

Collecting happens on the event loop and committing on a thread that may block on Git: a `Batch` goes
from the one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.engine.state.database import StateDatabase
from reconciler.git.commit_writer import CommitMessage
from reconciler.git.status_writer import Publication, StatusWriter, Waiting

_FOR_PEOPLE = frozenset({"README.md", "index.html"})  # they change whenever anything does


@dataclass(frozen=True, slots=True)
class Batch:
    """All files as they shall be, and what changed in a few words."""

    files: Mapping[str, bytes]
    subject: str


class Publisher:
    """Collects changed files and commits them together."""

    def __init__(self, ref: StatusWriter, state: StateDatabase, *, interval_s: float) -> None:
        self._ref = ref
        self._state = state
        self._interval_s = interval_s
        self._committed = state.status()  # or not yet: then the first batch says "Status as it was"
        self._files = dict(self._committed)
        self._last_s = float("-inf")
        self._urgent = False
        self._unpushed = True  # the remote may have missed the last one

    def put(self, files: Mapping[str, bytes], gone: set[str], *, urgent: bool = False) -> None:
        """Take changed files in; from here on a restart does not lose them. What is urgent waits for no interval."""
        if not files and not gone:
            return
        self._files.update(files)
        for path in gone:
            self._files.pop(path, None)
        self._urgent |= urgent
        self._state.write_status(dict(files), gone)

    def due_in_s(self, now_s: float) -> float | None:
        """Return after how many seconds there is something to commit; None: nothing is."""
        if not self._files or (not self._unpushed and self._files == self._committed):
            return None
        return 0.0 if self._urgent else max(0.0, self._last_s + self._interval_s - now_s)

    def batch(self, now_s: float) -> Batch:
        """Return what is to be committed now."""
        self._last_s = now_s
        self._urgent = False
        files = dict(self._files)
        return Batch(files, _subject(self._committed, files))

    def commit(self, batch: Batch, now: datetime) -> Publication:
        """Commit and push. For the thread that may block."""
        return self._ref.publish(batch.files, CommitMessage(batch.subject, now))

    def ended(self, batch: Batch, outcome: Publication) -> str | None:
        """Take note of how it went; returns what is wrong with the remote, or None."""
        self._unpushed = isinstance(outcome, Waiting)
        if isinstance(outcome, Waiting):
            return outcome.message
        self._committed = dict(batch.files)
        return None


def _subject(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    changed = sorted(
        path for path in {*before, *after} if before.get(path) != after.get(path) and path not in _FOR_PEOPLE
    )
    if not changed:
        return "Status as it was"
    shown = ", ".join(path.removesuffix(".yaml") for path in changed[:3])
    return f"Status of {shown}" + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")  # noqa: PLR2004 - as shown
