# SPDX-License-Identifier: Apache-2.0
"""Whether the daemon makes progress: what systemd's watchdog and /healthz go by.

A process that still answers is not yet one that works: each of its jobs says when it begins and ends, and one that
takes longer than it ever may (git itself gives up long before) is stuck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.model import Commit

# Above the sum of what git may take for one look: a question, a transfer, the signatures (docs/git.md).
LONGEST_S = {"git": 900.0, "status": 900.0, "pass": 60.0}


class Liveness:
    """What is being worked at, and since when."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self.ready = False  # the first pass is over
        self._steady_s = steady_s
        self._since_s: dict[str, float] = {}

    @contextmanager
    def working(self, job: str) -> Iterator[None]:
        """Be at one of the jobs while this lasts."""
        self._since_s[job] = self._steady_s()
        try:
            yield
        finally:
            del self._since_s[job]

    def stuck(self) -> str | None:
        """Say which job takes too long, if one does."""
        now_s = self._steady_s()
        late = [job for job, since_s in self._since_s.items() if now_s - since_s > LONGEST_S[job]]
        return f"stuck: {', '.join(sorted(late))}" if late else None

    def not_ready(self, enforced: Commit | None) -> str | None:
        """Say why the gateway does not do its work yet, if it doesn't."""
        if not self.ready:
            return "the first pass is not over"
        return self.stuck() or (None if enforced is not None else "there is no commit to enforce")
