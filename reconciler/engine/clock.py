# SPDX-License-Identifier: Apache-2.0
"""The two clocks: the calendar's, for what people read, and the steady one, for how long."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; tests have their own."""

    def now(self) -> datetime:
        """Return the calendar's time, in UTC."""

    def steady_s(self) -> float:
        """Return seconds that only grow, whatever happens to the calendar."""


class SystemClock:
    """This machine's clocks."""

    def now(self) -> datetime:
        """Return the calendar's time, in UTC."""
        return datetime.now(UTC)

    def steady_s(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()
