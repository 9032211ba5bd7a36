# SPDX-License-Identifier: Apache-2.0
"""How much passes over each link now: the bytes of about the last minute, from counters that only grow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.devices.link import LinkStatistics

STEP_S = 10.0
STEPS = 6


@dataclass(frozen=True, slots=True)
class Rate:
    """Bytes a second."""

    sent_per_s: float
    heard_per_s: float


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    sent_bytes: int
    heard_bytes: int


class LinkRates:
    """A few samples of each link."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._samples: dict[str, deque[_Sample]] = {}

    def note(self, statistics: Mapping[str, LinkStatistics]) -> None:
        """Look at the counters; may be called as often as one likes."""
        now_s = self._steady_s()
        for gone in self._samples.keys() - statistics.keys():
            del self._samples[gone]
        for name, figures in statistics.items():
            kept = self._samples.setdefault(name, deque(maxlen=STEPS + 1))
            new = _Sample(now_s, figures.sent_bytes, figures.heard_bytes)
            if kept and (new.sent_bytes < kept[-1].sent_bytes or new.heard_bytes < kept[-1].heard_bytes):
                kept.clear()  # opened anew: it counts from nothing
            if not kept or now_s - kept[-1].at_s >= STEP_S:
                kept.append(new)

    def of(self, link: str) -> Rate | None:
        """Tell the rate of a link; None: it has not been watched for long enough."""
        kept = self._samples.get(link)
        if kept is None or len(kept) < 2:  # noqa: PLR2004 - a rate is between two moments
            return None
        first, last = kept[0], kept[-1]
        passed_s = last.at_s - first.at_s
        return Rate((last.sent_bytes - first.sent_bytes) / passed_s, (last.heard_bytes - first.heard_bytes) / passed_s)
