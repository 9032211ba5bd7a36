# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go are left alone for a while, longer each time: an update begun on one would likely fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.model import ObservedDevice

PATIENCE = 2  # once is an accident
LONGEST = timedelta(days=1)
DOUBLINGS = 12  # beyond that any `silentAfter` is longer than `LONGEST`


def rests_until(seen: ObservedDevice, silent_after: timedelta) -> datetime | None:
    """Say until when a device is left alone: `silentAfter` after its second return, then twice as long each time."""
    if seen.flaps < PATIENCE or seen.flapped_at is None:
        return None
    times: int = 2 ** min(seen.flaps - PATIENCE, DOUBLINGS)
    return seen.flapped_at + min(silent_after * times, LONGEST)


def resting_words(seen: ObservedDevice, until: datetime) -> str:
    """Say why, and until when."""
    when = f"{until.astimezone(UTC):%Y-%m-%d %H:%M UTC}"
    return f"fell silent and came back {seen.flaps} times; it is left alone until {when}"
