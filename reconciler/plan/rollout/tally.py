# SPDX-License-Identifier: Apache-2.0
"""How each device bears on its wave: what it has shown, and what may still go wrong with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from reconciler.model import DeviceId
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict


class WaveRole(Enum):
    """What a device is to its wave. BEGUN and SOAKING are the devices at risk: they may still fail."""

    DONE = "done"
    SOAKING = "soaking"  # settled, but it soaks yet, or its gates are not passed
    BEGUN = "begun"
    DUE = "due"  # has yet to begin
    FAILED = "failed"
    MISSING = "missing"
    OUT = "out"

    __hash__ = object.__hash__  # each is one object; the enum's own hash costs more than all else of a count


_OF_STANDING = {
    DeviceStanding.FAILED: WaveRole.FAILED,
    DeviceStanding.MISSING: WaveRole.MISSING,
    DeviceStanding.OUT: WaveRole.OUT,
}


def wave_role(verdict: DeviceVerdict, soak: timedelta, now: datetime) -> WaveRole:
    """See what a device is to a wave with this soak time."""
    if verdict.standing is DeviceStanding.DUE:
        return WaveRole.BEGUN if verdict.begun else WaveRole.DUE
    if verdict.standing is not DeviceStanding.SETTLED:
        return _OF_STANDING[verdict.standing]
    if verdict.proven:
        return WaveRole.DONE
    if not verdict.awaits and (not soak or _soaked(verdict, soak, now)):
        return WaveRole.DONE
    # One that fell silent while it was watched failed.
    return WaveRole.SOAKING if verdict.lost_at is None else WaveRole.FAILED


def _soaked(verdict: DeviceVerdict, soak: timedelta, now: datetime) -> bool:
    """A device that was last heard after its soak time did its part."""
    heard_until = now if verdict.lost_at is None else verdict.lost_at
    return verdict.since is not None and verdict.since + soak <= heard_until


@dataclass(slots=True)
class Tally:
    """How the devices of one step stand."""

    counts: Counter[WaveRole] = field(default_factory=Counter)  # all but those that are done, or due
    done: int = 0
    due: list[DeviceId] = field(default_factory=list)  # in order
    due_or_missing: list[DeviceId] = field(default_factory=list)  # in order
    soaked_at: datetime | None = None  # when the last of those that soak has soaked
    next_soaked_at: datetime | None = None  # and the first
    awaits: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)

    def add(self, name: DeviceId, verdict: DeviceVerdict, soak: timedelta, now: datetime) -> None:
        """Take one device in."""
        if verdict.standing is DeviceStanding.DUE and not verdict.begun and not verdict.elsewhere:
            self.due.append(name)  # most devices, when a new version comes
            self.due_or_missing.append(name)
            return
        found = wave_role(verdict, soak, now)
        if found is WaveRole.DONE:  # most devices, most of the time
            self.done += 1
            return
        self.counts[found] += 1
        if found is WaveRole.DUE:
            self.due.append(name)
        if found in {WaveRole.DUE, WaveRole.MISSING}:
            self.due_or_missing.append(name)
        if found is WaveRole.SOAKING:
            self._add_soaking(verdict, soak, now)
        if verdict.elsewhere:
            self.elsewhere[verdict.elsewhere] += 1

    def _add_soaking(self, verdict: DeviceVerdict, soak: timedelta, now: datetime) -> None:
        soaked_at = None if verdict.since is None else verdict.since + soak
        if soaked_at is not None and soaked_at > now:
            self.soaked_at = soaked_at if self.soaked_at is None else max(self.soaked_at, soaked_at)
            self.next_soaked_at = soaked_at if self.next_soaked_at is None else min(self.next_soaked_at, soaked_at)
        if verdict.awaits:
            self.awaits[verdict.awaits] += 1

    @property
    def at_risk(self) -> int:
        """Count the devices that may still fail."""
        return self.counts[WaveRole.BEGUN] + self.counts[WaveRole.SOAKING]

    @property
    def lost(self) -> int:
        """Count the devices that can't be waited for."""
        return self.counts[WaveRole.FAILED] + self.counts[WaveRole.MISSING]

    @property
    def on_the_way(self) -> int:
        """Count the devices that are waited for."""
        return len(self.due) + self.at_risk

    def words(self, total: int) -> str:
        """Say how the step stands."""
        counts = self.counts
        parts = [f"{self.done} of {total} are done"]
        to_go = len(self.due) + counts[WaveRole.BEGUN]
        parts += [f"{to_go} to go"] if to_go else []
        if counts[WaveRole.SOAKING]:
            when = f" until {self.soaked_at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}" if self.soaked_at else ""
            parts.append(f"{counts[WaveRole.SOAKING]} soaking{when}")
        parts += [f"{number} not past a gate ({what})" for what, number in sorted(self.awaits.items())]
        parts += [f"{counts[WaveRole.MISSING]} not reporting"] if counts[WaveRole.MISSING] else []
        parts += [f"{counts[WaveRole.FAILED]} failed"] if counts[WaveRole.FAILED] else []
        parts += [f"{number} of them at {who}" for who, number in sorted(self.elsewhere.items())]
        return ", ".join(parts)
