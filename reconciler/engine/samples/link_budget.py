# SPDX-License-Identifier: Apache-2.0
"""How many bytes of samples may pass: a token bucket, for a serial line or for one device behind a broker."""

from __future__ import annotations

from reconciler.devices.line_port import BITS_PER_BYTE
from reconciler.model import SampleCollection

SAVED_S = 120.0  # what a line may save up, so that a few alarms are fetched at once
HOUR_S = 3600.0
SAVED_BYTES = 20_000  # what a device behind a broker may save up: one range, with its questions


class LinkBudget:
    """A bucket that fills at a rate. Spending may overdraw it, since the size of an answer is known only afterwards."""

    def __init__(self, bytes_per_s: float, capacity: float, now_s: float) -> None:
        self._rate = bytes_per_s
        self._capacity = capacity
        self._level = capacity
        self._at_s = now_s

    def left(self, now_s: float) -> int:
        """Return how many bytes may pass now; negative: the bucket is overdrawn."""
        self._level = min(self._capacity, self._level + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        return int(self._level)

    def spend(self, count: int, now_s: float) -> None:
        """Take bytes out."""
        self.left(now_s)
        self._level -= count

    def wait_s(self, wanted: int, now_s: float) -> float:
        """Return after how long this many bytes may pass, as far as the bucket can hold them."""
        missing = min(wanted, int(self._capacity)) - self.left(now_s)
        return max(0.0, missing / self._rate)


def line_budget(collect: SampleCollection, baud: int, now_s: float) -> LinkBudget:
    """Return the budget of a serial line: a share of its time."""
    rate = baud / BITS_PER_BYTE * collect.line_share / 100
    return LinkBudget(rate, rate * SAVED_S, now_s)


def device_budget(collect: SampleCollection, now_s: float) -> LinkBudget:
    """Return the budget of one device behind a broker."""
    return LinkBudget(collect.bytes_per_hour / HOUR_S, min(SAVED_BYTES, collect.bytes_per_hour), now_s)
