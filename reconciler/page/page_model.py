# SPDX-License-Identifier: Apache-2.0
"""What a page is made of: the values that status files are made of, and what is true of this moment alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from reconciler.model import DeviceId, RolloutId, RolloutReport
from reconciler.report.conditions import Condition, Status
from reconciler.report.device_status import DeviceStatus
from reconciler.report.gateway_status import GatewayStatus
from reconciler.report.remedies import REMEDIES
from reconciler.report.rollout_status import RolloutStatus


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """One link: its rates over the last while, its counters since the daemon began, its noise."""

    name: str
    trouble: str | None
    baud: int | None  # None: no line
    sent_per_s: float | None  # bytes; None: not told yet
    heard_per_s: float | None
    sent_bytes: int
    heard_bytes: int
    questions: int
    silences: int
    frames_corrected: int
    frames_bad: int
    bit_error_rate: float
    strangers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreFacts:
    """What one pack did on all devices that ran it."""

    model: str
    devices: int
    inferences: int
    anomalies: int
    faults: int
    resets: int
    least: int
    most: int
    mean: float
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """What changes all the time: told on the page that is served, never committed."""

    at: datetime
    running: bool  # a daemon works at this moment
    in_progress_count: int = 0
    waiting_count: int = 0
    in_progress: Mapping[DeviceId, str] = field(default_factory=dict)
    waiting: Mapping[DeviceId, str] = field(default_factory=dict)
    building: Sequence[str] = ()
    build_failures: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, tuple[int, str]] = field(default_factory=dict)  # messages in a name that did not verify
    links: Sequence[LinkFacts] = ()
    scores: Sequence[ScoreFacts] = ()


@dataclass(frozen=True)
class PageModel:
    """What one gateway knows."""

    gateway: GatewayStatus | None
    devices: Sequence[DeviceStatus]
    rollouts: Sequence[RolloutStatus]
    present: Present | None = None

    @property
    def at(self) -> datetime | None:
        """Return the moment that "for an hour" counts from; None: nothing counts."""
        return self.present.at if self.present is not None else None

    @cached_property
    def owners(self) -> Mapping[DeviceId, RolloutId]:
        """Tell which rollout has each device."""
        return {
            device: status.facts.rollout
            for status in self.rollouts
            for _, names in members(status.facts.report)
            for device in names
        }


@dataclass(frozen=True, slots=True)
class Detail:
    """Everything about one device."""

    status: DeviceStatus
    seen_at: datetime | None
    facts: Sequence[tuple[str, str]]
    failed: Mapping[str, str]  # digest: why


class Mood(StrEnum):
    """Whether somebody has to do something."""

    GOOD = "good"
    WAIT = "wait"
    ACT = "act"


def mood_of(condition: Condition) -> Mood:
    """Judge a condition as docs/conditions.md does. A reason that nobody explained is one to look at."""
    if condition.status is Status.TRUE:
        return Mood.GOOD
    advice = REMEDIES.get(condition.reason)
    return Mood.WAIT if advice is not None and not advice.act else Mood.ACT


@dataclass(frozen=True, slots=True)
class Reason:
    """The devices that are not ready for one reason, the longest first."""

    name: str
    mood: Mood
    devices: tuple[DeviceStatus, ...]


def reasons(devices: Iterable[DeviceStatus]) -> list[Reason]:
    """Group the devices that are not where Git wants them: first what somebody has to act on, then the most."""
    groups: dict[str, list[DeviceStatus]] = {}
    for device in devices:
        if device.ready.status is not Status.TRUE:
            groups.setdefault(device.ready.reason, []).append(device)
    found = []
    for name, members in groups.items():
        ordered = sorted(members, key=lambda each: (each.ready.since, each.device))
        found.append(Reason(name, mood_of(ordered[0].ready), tuple(ordered)))
    return sorted(found, key=lambda each: (each.mood is not Mood.ACT, -len(each.devices), each.name))


def moods(devices: Iterable[DeviceStatus]) -> dict[Mood, int]:
    """Count devices by what they need."""
    counted: Counter[tuple[str, Status]] = Counter()
    sample: dict[tuple[str, Status], Condition] = {}
    for device in devices:
        ready = device.ready
        key = ready.reason, ready.status
        counted[key] += 1
        sample[key] = ready
    found = dict.fromkeys(Mood, 0)
    for key, number in counted.items():
        found[mood_of(sample[key])] += number
    return found


def members(word: RolloutReport) -> Iterator[tuple[str, frozenset[DeviceId]]]:
    """Name the sets of a rollout's devices, in the order in which they matter."""
    yield "failed", word.failed
    yield "missing", word.missing
    yield "out", word.out
    yield "begun", word.begun
    yield "soaking", word.soaking
    yield "due", word.due
    yield "done", word.done
