# SPDX-License-Identifier: Apache-2.0
"""Maintenance windows: when changes are allowed, weekly and in local time.

A window opens at a local wall-clock time and stays open for its duration in elapsed seconds. If the clocks go
forward past the opening time, the window opens an hour later by the clock: 02:30 becomes 03:30. If the clocks
go back and the time occurs twice, the window opens at the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reconciler.model import MaintenanceWindow

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A weekly window of eight days never closes, so there is no need to look further back.
MAX_DURATION = timedelta(days=8)
HORIZON_DAYS = 9
MAX_OPENINGS = 64  # openings to try before several sets of windows count as never open together


@dataclass(frozen=True, slots=True)
class WindowState:
    """Whether changes are allowed now, until when that is so, and when they are allowed next."""

    is_open: bool
    until: datetime | None = None  # None: forever
    opens_at: datetime | None = None  # None: open now, or never


OPEN = WindowState(is_open=True)


def window_state(sets: tuple[tuple[MaintenanceWindow, ...], ...], now: datetime) -> WindowState:
    """Evaluate several sets of windows: in each set, at least one window must be open."""
    given = tuple(windows for windows in sets if windows)
    if not given:
        return OPEN
    until = min(_next_boundary(windows, now) for windows in given)
    opens_at = _opens_at(given, now)
    return WindowState(is_open=opens_at == now, until=until, opens_at=None if opens_at == now else opens_at)


def _opens_at(sets: tuple[tuple[MaintenanceWindow, ...], ...], now: datetime) -> datetime | None:
    """Find the first time from now on at which every set is open."""
    time_tried = now
    for _ in range(MAX_OPENINGS):
        closed = [windows for windows in sets if not _is_open(windows, time_tried)]
        if not closed:
            return time_tried
        time_tried = max(_next_start(windows, time_tried) for windows in closed)
    return None


def _is_open(windows: tuple[MaintenanceWindow, ...], now: datetime) -> bool:
    return any(start <= now < end for window in windows for start, end in _spans(window, now))


def _next_start(windows: tuple[MaintenanceWindow, ...], now: datetime) -> datetime:
    return min(start for window in windows for start, _ in _spans(window, now) if start > now)


def _next_boundary(windows: tuple[MaintenanceWindow, ...], now: datetime) -> datetime:
    return min(edge for window in windows for span in _spans(window, now) for edge in span if edge > now)


def _spans(window: MaintenanceWindow, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the openings of a window around now, in UTC: from the last that may still be open into the next week."""
    zone = ZoneInfo(window.time_zone)
    hour, minute = window.start.split(":")
    start_time = time(int(hour), int(minute), tzinfo=zone)
    duration = timedelta(seconds=window.duration_s)
    today = now.astimezone(zone).date()
    back = min(duration, MAX_DURATION).days + 1
    for offset in range(-back, HORIZON_DAYS):
        day = today + timedelta(days=offset)
        if DAYS[day.weekday()] in window.days:
            start = datetime.combine(day, start_time).astimezone(UTC)
            yield start, start + duration
