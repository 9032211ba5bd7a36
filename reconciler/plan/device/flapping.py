# SPDX-License-Identifier: Apache-2.0
"""Devices that fall silent and come back are left alone for a while: an update that begins on one would likely fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.model import ObservedDevice

MIN_FLAPS = 2  # a single one is an accident
MAX_PAUSE = timedelta(days=1)
MAX_DOUBLINGS = 12  # beyond that, any `silentAfter` is longer than `MAX_PAUSE`


def paused_until(seen: ObservedDevice, silent_after: timedelta) -> datetime | None:
    """Return when the pause ends: `silentAfter` after the second return, and twice as long after each further one."""
    if seen.flaps < MIN_FLAPS or seen.flapped_at is None:
        return None
    factor: int = 2 ** min(seen.flaps - MIN_FLAPS, MAX_DOUBLINGS)
    return seen.flapped_at + min(silent_after * factor, MAX_PAUSE)


def pause_message(seen: ObservedDevice, until: datetime) -> str:
    """Explain the pause of a device and its end."""
    when = f"{until.astimezone(UTC):%Y-%m-%d %H:%M UTC}"
    return f"fell silent and came back {seen.flaps} times; it is left alone until {when}"
