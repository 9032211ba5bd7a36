# SPDX-License-Identifier: Apache-2.0
"""When changes are allowed: weekly windows in local time, summer time followed.

A window opens at a local wall-clock time and stays open for so many real seconds. Where the clock
is put forward over that time, the window opens when it would have opened without: 02:30 is 03:30 then.
Where the clock is put back and the time comes twice, it opens the first time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from reconciler.model import MaintenanceWindow

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# A window that comes each week and stays for eight days never closes: there is no need to look further back.
LONGEST = timedelta(days=8)
HORIZON_DAYS = 9
MEETINGS_TRIED = 64  # openings to try until all of several sets of windows are open at once


@dataclass(frozen=True, slots=True)
class WindowState:
    """Whether changes are allowed now, when that may be different, and when they are next."""

    is_open: bool
    until: datetime | None = None  # None: for ever
    opens_at: datetime | None = None  # None: open already, or never


OPEN = WindowState(is_open=True)


def window_state(sets: tuple[tuple[MaintenanceWindow, ...], ...], now: datetime) -> WindowState:
    """Judge several sets of windows: each set must have one that is open."""
    wanted = tuple(windows for windows in sets if windows)
    if not wanted:
        return OPEN
    until = min(_next_boundary(windows, now) for windows in wanted)
    opens_at = _opens_at(wanted, now)
    return WindowState(is_open=opens_at == now, until=until, opens_at=None if opens_at == now else opens_at)


def _opens_at(sets: tuple[tuple[MaintenanceWindow, ...], ...], now: datetime) -> datetime | None:
    """Find the first moment from now on at which every set is open."""
    moment = now
    for _ in range(MEETINGS_TRIED):
        closed = [windows for windows in sets if not _is_open(windows, moment)]
        if not closed:
            return moment
        moment = max(_next_start(windows, moment) for windows in closed)
    return None


def _is_open(windows: tuple[MaintenanceWindow, ...], now: datetime) -> bool:
    return any(start <= now < end for window in windows for start, end in _spans(window, now))


def _next_start(windows: tuple[MaintenanceWindow, ...], now: datetime) -> datetime:
    return min(start for window in windows for start, _ in _spans(window, now) if start > now)


def _next_boundary(windows: tuple[MaintenanceWindow, ...], now: datetime) -> datetime:
    return min(edge for window in windows for span in _spans(window, now) for edge in span if edge > now)


def _spans(window: MaintenanceWindow, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the window's openings around now, in UTC, from the last that may still be open to one in the next week."""
    zone = ZoneInfo(window.time_zone)
    hour, minute = window.start.split(":")
    start_time = time(int(hour), int(minute), tzinfo=zone)
    duration = timedelta(seconds=window.duration_s)
    today = now.astimezone(zone).date()
    back = min(duration, LONGEST).days + 1
    for offset in range(-back, HORIZON_DAYS):
        day = today + timedelta(days=offset)
        if DAYS[day.weekday()] in window.days:
            start = datetime.combine(day, start_time).astimezone(UTC)
            yield start, start + duration
