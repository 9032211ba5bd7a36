# SPDX-License-Identifier: Apache-2.0
"""The two clocks: the calendar for points in time that people read, the steady clock for durations."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The current time; tests have their own."""

    def now(self) -> datetime:
        """Return the calendar's time, in UTC."""

    def steady_s(self) -> float:
        """Return seconds that only grow, even when the calendar is corrected."""


class SystemClock:
    """This machine's clocks."""

    def now(self) -> datetime:
        """Return the calendar's time, in UTC."""
        return datetime.now(UTC)

    def steady_s(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()
