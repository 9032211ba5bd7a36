# SPDX-License-Identifier: Apache-2.0
"""Status files into the gateway's status ref: one commit per change, not too often, none when nothing changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.engine.state import State
from reconciler.git.authorship import Message
from reconciler.git.status import StatusRef, Waiting


class Publisher:
    """Collects changed files and commits them together. `flush` runs on the thread that may block on Git."""

    def __init__(self, ref: StatusRef, state: State, *, interval_s: float) -> None:
        self._ref = ref
        self._state = state
        self._interval_s = interval_s
        self._committed = state.status()  # or not yet: then the first flush says "Status as it was"
        self._files = dict(self._committed)
        self._last_s = float("-inf")
        self._unpushed = True  # the remote may have missed the last one

    def put(self, files: Mapping[str, bytes], gone: set[str]) -> None:
        """Take changed files in."""
        if not files and not gone:
            return
        self._files.update(files)
        for path in gone:
            self._files.pop(path, None)
        self._state.write_status(dict(files), gone)

    def due_in_s(self, now_s: float) -> float | None:
        """Return after how many seconds there is something to commit; None: nothing is."""
        if not self._files or (not self._unpushed and self._files == self._committed):
            return None
        return max(0.0, self._last_s + self._interval_s - now_s)

    def flush(self, now_s: float, now: datetime) -> str | None:
        """Commit what changed; return what is wrong with the remote, or None."""
        self._last_s = now_s
        files = dict(self._files)
        outcome = self._ref.publish(files, Message(_subject(self._committed, files), now))
        if isinstance(outcome, Waiting):
            self._unpushed = True
            return outcome.message
        self._committed = files
        self._unpushed = False
        return None


def _subject(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path) and path != "README.md")
    if not changed:
        return "Status as it was"
    shown = ", ".join(path.removesuffix(".yaml") for path in changed[:3])
    return f"Status of {shown}" + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")  # noqa: PLR2004 - as shown
