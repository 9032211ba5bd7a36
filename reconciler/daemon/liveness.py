# SPDX-License-Identifier: Apache-2.0
"""Whether the daemon makes progress, for systemd's watchdog and /healthz.

A process that still answers may nevertheless do no work. Each job records when it begins and ends; a job that exceeds
its limit is stuck. The limits are far above the timeouts of the jobs themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from reconciler.model import BuildFailure, Commit
from reconciler.report.remedies import REMEDIES

# Above the sum of the timeouts of one fetch: request, transfer and signatures (docs/git.md).
MAX_JOB_S = {"git": 900.0, "status": 900.0, "pass": 60.0}


class Liveness:
    """The running jobs and their start times."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self.ready = False  # the first pass is over
        self._steady_s = steady_s
        self._since_s: dict[str, float] = {}

    @contextmanager
    def working(self, job: str) -> Iterator[None]:
        """Mark a job as running for the duration of the context."""
        self._since_s[job] = self._steady_s()
        try:
            yield
        finally:
            del self._since_s[job]

    def stuck(self) -> str | None:
        """Return which jobs are stuck, if any."""
        now_s = self._steady_s()
        late = [job for job, since_s in self._since_s.items() if now_s - since_s > MAX_JOB_S[job]]
        return f"stuck: {', '.join(sorted(late))}" if late else None

    def not_ready(self, enforced: Commit | None, failures: Iterable[BuildFailure] = ()) -> str | None:
        """Return why the gateway is not ready; None if it is."""
        if not self.ready:
            return "the first pass is not finished"
        stuck = self.stuck()
        if stuck is not None:
            return stuck
        if enforced is None:
            return "there is no commit to enforce"
        described = [f"{each.reason}: {each.text}; what to do: {REMEDIES[each.reason].text}" for each in failures]
        return "\n".join(described) or None
