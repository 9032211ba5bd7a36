# SPDX-License-Identifier: Apache-2.0
"""The current data rate of each link, from the growth of its counters over about the last minute."""

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
    """Bytes per second."""

    sent_per_s: float
    received_per_s: float


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    sent_bytes: int
    received_bytes: int


class LinkRates:
    """Keeps a few samples of each link's counters."""

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        self._steady_s = steady_s
        self._samples: dict[str, deque[_Sample]] = {}

    def note(self, statistics: Mapping[str, LinkStatistics]) -> None:
        """Sample the counters; may be called at any frequency."""
        now_s = self._steady_s()
        for gone in self._samples.keys() - statistics.keys():
            del self._samples[gone]
        for name, figures in statistics.items():
            kept = self._samples.setdefault(name, deque(maxlen=STEPS + 1))
            new = _Sample(now_s, figures.sent_bytes, figures.received_bytes)
            if kept and (new.sent_bytes < kept[-1].sent_bytes or new.received_bytes < kept[-1].received_bytes):
                kept.clear()  # the link was reopened and counts from zero
            if not kept or now_s - kept[-1].at_s >= STEP_S:
                kept.append(new)

    def of(self, link: str) -> Rate | None:
        """Return the rate of a link; None if there are too few samples."""
        kept = self._samples.get(link)
        if kept is None or len(kept) < 2:  # noqa: PLR2004 - a rate needs two samples
            return None
        first, last = kept[0], kept[-1]
        passed_s = last.at_s - first.at_s
        return Rate(
            (last.sent_bytes - first.sent_bytes) / passed_s, (last.received_bytes - first.received_bytes) / passed_s
        )
