# SPDX-License-Identifier: Apache-2.0
"""Maintenance windows, across time zones and clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import MaintenanceWindow
from reconciler.plan.rollout.windows import DAYS, OPEN, WindowState, window_state
from tests.plan.strategies import windows

NIGHTS = MaintenanceWindow(("Mon", "Tue", "Wed", "Thu", "Fri"), "22:00", 6 * 3600, "Europe/Berlin")
EARLY_SUNDAY = MaintenanceWindow(("Sun",), "02:30", 3600, "Europe/Berlin")
ALWAYS = MaintenanceWindow(("Sat",), "12:00", 9 * 86400)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_no_windows_are_always_open() -> None:
    assert window_state((), at("2026-11-21 12:00")) is OPEN
    assert window_state(((), ()), at("2026-11-21 12:00")) is OPEN


@pytest.mark.parametrize(
    ("now", "is_open", "until"),
    [
        ("2026-11-20 20:59:59", False, "2026-11-20 21:00"),  # a Friday in winter: UTC plus one hour
        ("2026-11-20 21:00", True, "2026-11-21 03:00"),
        ("2026-11-21 02:59:59", True, "2026-11-21 03:00"),  # the window that opened on Friday
        ("2026-11-21 03:00", False, "2026-11-23 21:00"),
        ("2026-07-03 20:00", True, "2026-07-04 02:00"),  # summer: UTC plus two hours
        ("2026-07-03 19:59", False, "2026-07-03 20:00"),
    ],
)
def test_a_window_follows_its_time_zone(now: str, *, is_open: bool, until: str) -> None:
    found = window_state(((NIGHTS,),), at(now))
    assert (found.is_open, found.until) == (is_open, at(until))


def test_the_clocks_go_forward_past_the_opening_time() -> None:
    # 2026-03-29: 02:00 becomes 03:00 in Berlin, at 01:00 UTC; 02:30 never comes.
    assert window_state(((EARLY_SUNDAY,),), at("2026-03-29 01:29")).is_open is False
    assert window_state(((EARLY_SUNDAY,),), at("2026-03-29 01:30")) == WindowState(
        is_open=True, until=at("2026-03-29 02:30")
    )


def test_the_clocks_go_back_past_the_opening_time() -> None:
    # 2026-10-25: 03:00 becomes 02:00 in Berlin, at 01:00 UTC; 02:30 comes at 00:30 and at 01:30 UTC.
    assert window_state(((EARLY_SUNDAY,),), at("2026-10-25 00:30")) == WindowState(
        is_open=True, until=at("2026-10-25 01:30")
    )
    assert window_state(((EARLY_SUNDAY,),), at("2026-10-25 01:30")).is_open is False


def test_a_window_stays_open_for_its_duration_when_the_clocks_change() -> None:
    saturday = MaintenanceWindow(("Sat",), "22:00", 6 * 3600, "Europe/Berlin")
    assert window_state(((saturday,),), at("2026-10-24 20:00")).until == at("2026-10-25 02:00")
    assert window_state(((saturday,),), at("2026-03-28 21:00")).until == at("2026-03-29 03:00")


def test_closed_windows_say_when_the_next_opens() -> None:
    assert window_state(((NIGHTS, EARLY_SUNDAY),), at("2026-11-21 12:00")).opens_at == at("2026-11-22 01:30")


def test_every_set_must_be_open() -> None:
    noon = MaintenanceWindow(DAYS, "12:00", 7200)
    afternoon = MaintenanceWindow(("Sun",), "13:00", 7200)
    assert window_state(((noon,), (afternoon,)), at("2026-11-21 13:30")).opens_at == at("2026-11-22 13:00")
    assert window_state(((noon,), (afternoon,)), at("2026-11-22 13:30")).is_open


def test_windows_that_never_overlap_never_open() -> None:
    morning, evening = MaintenanceWindow(DAYS, "06:00", 60), MaintenanceWindow(DAYS, "18:00", 60)
    found = window_state(((morning,), (evening,)), at("2026-11-21 12:00"))
    assert (found.is_open, found.opens_at) == (False, None)


def test_a_window_longer_than_a_week_never_closes() -> None:
    assert all(
        window_state(((ALWAYS,),), at("2026-11-21 12:00") + timedelta(hours=hours)).is_open
        for hours in range(0, 400, 7)
    )


@given(drawn=windows, hours=st.integers(0, 24 * 366))
def test_a_window_state_is_valid_until_its_time(drawn: tuple[MaintenanceWindow, ...], hours: int) -> None:
    now = at("2026-01-01 00:00") + timedelta(hours=hours)
    found = window_state((drawn,), now)
    if found.until is not None:
        assert found.until > now
        assert window_state((drawn,), found.until - timedelta(microseconds=1)).is_open is found.is_open
    if found.opens_at is not None:
        assert window_state((drawn,), found.opens_at).is_open
        assert not window_state((drawn,), found.opens_at - timedelta(microseconds=1)).is_open


ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Kolkata")
CHANGES = (  # days on which the clocks of those zones change, and their neighbours
    date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 4, 24), date(2026, 9, 6), date(2026, 10, 4),
    date(2026, 10, 25), date(2026, 10, 29), date(2026, 10, 30), date(2026, 11, 1),
)  # fmt: skip


@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    day=st.one_of(st.sampled_from(CHANGES), st.dates(date(2026, 1, 10), date(2027, 12, 1))),
    start=st.times().map(lambda start: start.replace(second=0, microsecond=0)),
    duration_s=st.integers(60, 80000),
)
def test_a_window_opens_once_a_day_at_its_wall_clock_time_for_its_duration(
    zone: ZoneInfo, day: date, start: time, duration_s: int
) -> None:
    """Look the wall clock up minute by minute, so that the test shares no arithmetic with the code."""
    window, wall = (
        MaintenanceWindow((DAYS[day.weekday()],), f"{start:%H:%M}", duration_s, zone.key),
        datetime.combine(day, start),
    )

    def shows(instant: datetime) -> datetime:
        return instant.astimezone(zone).replace(tzinfo=None)

    before = datetime.combine(day, time(0), UTC) - timedelta(hours=16)
    opens_at = window_state(((window,),), before).opens_at
    assert opens_at is not None
    minutes = (before + timedelta(minutes=number) for number in range(45 * 60))
    first = next((minute for minute in minutes if shows(minute) == wall), None)
    if first is not None:
        assert opens_at == first
    else:  # the clocks skipped that time: the window opens later by the size of the change
        put_forward = shows(opens_at) - shows(opens_at - timedelta(hours=3)) - timedelta(hours=3)
        assert shows(opens_at) == wall + put_forward
    opened = window_state(((window,),), opens_at)
    assert (opened.is_open, opened.until) == (True, opens_at + timedelta(seconds=duration_s))
    closed = window_state(((window,),), opens_at + timedelta(seconds=duration_s))
    assert not closed.is_open
    assert closed.opens_at is not None
    assert closed.opens_at > opens_at + timedelta(days=6)
