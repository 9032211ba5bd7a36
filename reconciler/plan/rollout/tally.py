# SPDX-License-Identifier: Apache-2.0
"""The devices of one wave, counted by the role that each plays in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from reconciler.model import DeviceId
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
)


class WaveRole(Enum):
    """How a device counts in its wave; a value names the field of `RolloutReport` that lists such devices.

    A role is a verdict in the light of the wave's soak time: a settled device is done, soaking, or failed if it
    fell silent before it had soaked. BEGUN and SOAKING are the devices at risk: they may still fail.
    """

    DONE = "done"
    SOAKING = "soaking"  # settled, but it has not soaked or not passed its gates yet
    BEGUN = "begun"
    DUE = "due"
    FAILED = "failed"
    MISSING = "missing"
    OUT = "out"

    __hash__ = object.__hash__  # each is one object; the enum's own hash costs more than the rest of a count


def wave_role(verdict: DeviceVerdict, soak: timedelta, now: datetime) -> WaveRole:
    """Return the role of a device in a wave with this soak time."""
    match verdict:
        case SettledDevice():
            return _settled_role(verdict, soak, now)
        case DueDevice():
            return WaveRole.BEGUN if verdict.begun else WaveRole.DUE
        case FailedDevice():
            return WaveRole.FAILED
        case MissingDevice():
            return WaveRole.MISSING
        case OutDevice():
            return WaveRole.OUT


def _settled_role(verdict: SettledDevice, soak: timedelta, now: datetime) -> WaveRole:
    if verdict.proven:
        return WaveRole.DONE
    if not verdict.pending_gate and (not soak or _has_soaked(verdict, soak, now)):
        return WaveRole.DONE
    # A device that falls silent while it is watched has failed.
    return WaveRole.SOAKING if verdict.silent_since is None else WaveRole.FAILED


def _has_soaked(verdict: SettledDevice, soak: timedelta, now: datetime) -> bool:
    """Whether the device was last known to run the model at least `soak` after it was confirmed."""
    known_until = now if verdict.silent_since is None else verdict.silent_since
    return verdict.since is not None and verdict.since + soak <= known_until


@dataclass(slots=True)
class Tally:
    """The states of the devices of one wave."""

    counts: Counter[WaveRole] = field(default_factory=Counter)  # without those that are done, or due at this gateway
    done: int = 0
    due: list[DeviceId] = field(default_factory=list)  # in order
    due_or_missing: list[DeviceId] = field(default_factory=list)  # in order
    soaked_at: datetime | None = None  # when the last soaking device has soaked
    next_soaked_at: datetime | None = None  # when the first has
    pending_gates: Counter[str] = field(default_factory=Counter)
    peers: Counter[str] = field(default_factory=Counter)  # devices that are not done, by the peer that serves them

    def add(self, device: DeviceId, verdict: DeviceVerdict, soak: timedelta, now: datetime) -> None:
        """Count one device."""
        if isinstance(verdict, DueDevice) and not verdict.begun and not verdict.peer:
            self.due.append(device)  # most devices, when a new version comes
            self.due_or_missing.append(device)
            return
        role = wave_role(verdict, soak, now)
        if role is WaveRole.DONE:  # most devices, most of the time
            self.done += 1
            return
        self.counts[role] += 1
        if role is WaveRole.DUE:
            self.due.append(device)
        if role in {WaveRole.DUE, WaveRole.MISSING}:
            self.due_or_missing.append(device)
        if role is WaveRole.SOAKING and isinstance(verdict, SettledDevice):
            self._add_soaking(verdict, soak, now)
        if verdict.peer:
            self.peers[verdict.peer] += 1

    def _add_soaking(self, verdict: SettledDevice, soak: timedelta, now: datetime) -> None:
        soaked_at = None if verdict.since is None else verdict.since + soak
        if soaked_at is not None and soaked_at > now:
            self.soaked_at = soaked_at if self.soaked_at is None else max(self.soaked_at, soaked_at)
            self.next_soaked_at = soaked_at if self.next_soaked_at is None else min(self.next_soaked_at, soaked_at)
        if verdict.pending_gate:
            self.pending_gates[verdict.pending_gate] += 1

    @property
    def at_risk(self) -> int:
        """The number of devices that may still fail."""
        return self.counts[WaveRole.BEGUN] + self.counts[WaveRole.SOAKING]

    @property
    def lost(self) -> int:
        """The number of devices that the wave does not wait for."""
        return self.counts[WaveRole.FAILED] + self.counts[WaveRole.MISSING]

    @property
    def unfinished(self) -> int:
        """The number of devices that the wave waits for."""
        return len(self.due) + self.at_risk

    def summary(self, total: int) -> str:
        """Describe the progress of the wave, as "3 of 5 devices done, 2 to go"."""
        counts = self.counts
        parts = [f"{self.done} of {total} device{'' if total == 1 else 's'} done"]
        to_go = len(self.due) + counts[WaveRole.BEGUN]
        parts += [f"{to_go} to go"] if to_go else []
        if counts[WaveRole.SOAKING]:
            when = f" until {self.soaked_at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}" if self.soaked_at else ""
            parts.append(f"{counts[WaveRole.SOAKING]} soaking{when}")
        parts += [f"{number} waiting for a gate ({gate})" for gate, number in sorted(self.pending_gates.items())]
        parts += [f"{counts[WaveRole.MISSING]} not reporting"] if counts[WaveRole.MISSING] else []
        parts += [f"{counts[WaveRole.FAILED]} failed"] if counts[WaveRole.FAILED] else []
        parts += [f"{number} of them at {peer}" for peer, number in sorted(self.peers.items())]
        return ", ".join(parts)
