# SPDX-License-Identifier: Apache-2.0
"""Durations, counts, timestamps and digests as text, for the command line, comments and the page."""

from __future__ import annotations

from datetime import datetime

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
SHORT_DIGITS = 12  # of a commit or a digest
_UNITS = ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min"))


def duration(seconds: float) -> str:
    """Format an estimated duration, with one decimal above a minute."""
    for unit_s, unit in _UNITS:
        if seconds >= 1.5 * unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else "< 1 s"


def elapsed(seconds: float) -> str:
    """Format a time that has passed, in whole units."""
    seconds = max(0.0, seconds)
    for unit_s, unit in _UNITS:
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(timestamp: datetime | None, now: datetime) -> str:
    """Format how long ago something happened."""
    return f"{elapsed((now - timestamp).total_seconds())} ago" if timestamp is not None else "never"


def age(oldest: datetime | None, newest: datetime | None, now: datetime) -> str:
    """Describe how old figures of several devices are."""
    if oldest is None or newest is None:
        return "unknown"
    first, last = (elapsed(max(0.0, (now - each).total_seconds())) for each in (newest, oldest))
    return first if first == last else f"{first} to {last}"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def short(digest: str | None) -> str:
    """Abbreviate a commit or a digest."""
    return digest[:SHORT_DIGITS] if digest else "-"


def iso(timestamp: datetime | None) -> str | None:
    """Write a timestamp for JSON."""
    return None if timestamp is None else timestamp.isoformat()
