# SPDX-License-Identifier: Apache-2.0
"""Status files into the gateway's status ref: one commit for all changes, not too often, none without changes.

Files are collected on the event loop and committed on a thread that may block on Git. A `Batch` is what the one hands
to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.engine.state.writer import StateWriter
from reconciler.git.commit_writer import CommitMessage
from reconciler.git.status_writer import Publication, PushPending, StatusWriter

_FOR_PEOPLE = frozenset({"README.md", "index.html"})  # they change whenever any other file does
_NAMED_IN_SUBJECT = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """All status files as they are to be committed, and the subject of the commit."""

    files: Mapping[str, bytes]
    subject: str


class Publisher:
    """Collects changed files and commits them together.

    Only `commit` is for the status thread; the order of calls is `batch`, `commit`, `committed`.
    """

    def __init__(self, ref: StatusWriter, state: StateWriter, *, interval_s: float) -> None:
        self._ref = ref
        self._state = state
        self._interval_s = interval_s
        # Perhaps not committed yet: then the first batch commits them unchanged.
        self._committed: Mapping[str, bytes] = state.status_files()
        self._files = dict(self._committed)
        self._changed: set[str] = set()  # paths of which the last commit has other bytes, or none
        self._last_s = float("-inf")
        self._urgent = False
        self._unpushed = True  # the remote may have missed the last commit

    def put(self, files: Mapping[str, bytes], gone: set[str], *, urgent: bool = False) -> None:
        """Add changed files; from here on a restart does not lose them. Urgent ones do not wait for the interval."""
        if not files and not gone:
            return
        self._files.update(files)
        for path in gone:
            self._files.pop(path, None)
        self._note_changes({*files, *gone})
        self._urgent |= urgent
        self._state.save_status_files(files, gone)

    def due_in_s(self, now_s: float) -> float | None:
        """Return after how many seconds a commit is due; None: there is nothing to commit."""
        if not self._files or (not self._unpushed and not self._changed):
            return None
        return 0.0 if self._urgent else max(0.0, self._last_s + self._interval_s - now_s)

    def batch(self, now_s: float) -> Batch:
        """Return what is to be committed now."""
        self._last_s = now_s
        self._urgent = False
        return Batch(dict(self._files), _subject(self._changed))

    def commit(self, batch: Batch, now: datetime) -> Publication:
        """Commit and push. For the status thread: it blocks."""
        return self._ref.publish(batch.files, CommitMessage(batch.subject, now))

    def committed(self, batch: Batch, outcome: Publication) -> str | None:
        """Take in how a commit went; return what is wrong with the remote, or None."""
        self._unpushed = isinstance(outcome, PushPending)
        if isinstance(outcome, PushPending):
            return outcome.message
        self._committed = batch.files
        self._note_changes(set(self._changed))
        return None

    def _note_changes(self, paths: set[str]) -> None:
        for path in paths:
            if self._files.get(path) != self._committed.get(path):
                self._changed.add(path)
            else:
                self._changed.discard(path)


def _subject(paths: set[str]) -> str:
    changed = sorted(paths - _FOR_PEOPLE)
    if not changed:
        return "Status as it was"
    named = ", ".join(path.removesuffix(".yaml") for path in changed[:_NAMED_IN_SUBJECT])
    more = len(changed) - _NAMED_IN_SUBJECT
    return f"Status of {named}" + (f" and {more} more" if more > 0 else "")
