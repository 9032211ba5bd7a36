# SPDX-License-Identifier: Apache-2.0
"""One rollout of a change: its waves with the devices that it touches, and when it could be over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model import (
    ActivatePrebaked,
    Blocked,
    Configure,
    Desired,
    DeviceId,
    Install,
    Rollout,
)
from reconciler.plan.rollout.evaluation import RolloutEvaluation
from reconciler.plan.rollout.waves import WaveStep
from reconciler.review.affected_devices import AffectedDevice
from reconciler.review.transfer_time import ReviewLine, line_s, passage, windows_of
from reconciler.review.transfer_volume import TransferLoad

INSTALL, PREBAKED, CONFIGURE, CANT = "install", "pre-baked", "parameters", "can't"


@dataclass(frozen=True, slots=True)
class LineWork:
    """What one wave sends over one line, and how many windows that takes."""

    line: ReviewLine
    work_s: float
    openings: int
    never: bool  # not within the windows that were tried


@dataclass(frozen=True, slots=True)
class WaveReview:
    """One wave."""

    name: str
    members: tuple[DeviceId, ...]
    touched: tuple[DeviceId, ...]
    counts: Mapping[str, int]
    soak_s: float
    work: tuple[LineWork, ...]
    ends_at: datetime | None  # soak included; None: can't be told

    @property
    def longest_s(self) -> float:
        """Tell how long the slowest line of the wave works."""
        return max((each.work_s for each in self.work), default=0.0)


@dataclass(frozen=True, slots=True)
class RolloutReview:
    """One rollout whose devices are touched."""

    rollout: Rollout
    before: Rollout | None
    devices: int
    allowed: int  # failures
    waves: tuple[WaveReview, ...]
    cant: int
    ends_at: datetime | None


def review_rollout(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    desired: Desired,
    rollout: Rollout,
    before: Rollout | None,
    course: RolloutEvaluation,
    touched: Iterable[AffectedDevice],
    found: Iterable[TransferLoad],
    now: datetime,
) -> RolloutReview:
    """Walk through the waves, one after the other, at best: nobody fails, and every device answers."""
    mine = {each.device: each for each in touched}
    freight = {name: load for load in found for name in load.devices if name in mine}
    waves = []
    moment: datetime | None = now
    for index, step in enumerate(course.steps):
        soaked_at = course.progress.tallies[index].soaked_at
        if moment is not None and soaked_at is not None:
            moment = max(moment, soaked_at)  # it is being watched already
        wave = _wave(desired, rollout, step, mine, freight, moment)
        waves.append(wave)
        moment = wave.ends_at
    cant = sum(isinstance(each.action, Blocked) for each in mine.values())
    members = sum(len(step.members) for step in course.steps)
    return RolloutReview(rollout, before, members, course.progress.allowed, tuple(waves), cant, moment)


def _wave(  # noqa: PLR0913, PLR0917 - one parameter for each thing that this depends on
    desired: Desired,
    rollout: Rollout,
    step: WaveStep,
    mine: Mapping[DeviceId, AffectedDevice],
    freight: Mapping[DeviceId, TransferLoad],
    begins_at: datetime | None,
) -> WaveReview:
    touched = tuple(name for name in step.members if name in mine)
    counts: Counter[str] = Counter(_word(mine[name]) for name in touched)
    by_line: dict[ReviewLine, list[int]] = defaultdict(list)
    for name in touched:
        load = freight.get(name)
        if load is not None:
            by_line[load.line].append(load.payload.size_bytes)
    work = []
    ends: list[datetime | None] = [begins_at]
    for line, payloads in sorted(by_line.items()):
        work_s = line_s(line, desired.gateways.get(line.gateway), payloads) or 0.0
        through = passage(windows_of(desired, rollout, line.gateway), begins_at or _EPOCH, work_s)
        ends.append(None if begins_at is None else through.ends_at)
        work.append(LineWork(line, work_s, through.openings, never=through.ends_at is None))
    known = [end for end in ends if end is not None]
    over = max(known) + step.soak if len(known) == len(ends) and touched else begins_at
    if len(known) != len(ends):
        over = None
    return WaveReview(step.name, step.members, touched, counts, step.soak.total_seconds(), tuple(work), over)


_EPOCH = datetime.fromisoformat("2000-01-03T00:00:00+00:00")  # a Monday: any week will do to count windows


def _word(each: AffectedDevice) -> str:
    match each.action:
        case Install():
            return INSTALL
        case ActivatePrebaked():
            return PREBAKED
        case Configure():
            return CONFIGURE
        case _:
            return CANT


def windows_within_s(desired: Desired, rollout: Rollout, line: ReviewLine) -> float | None:
    """Return the longest of the windows through which a line's devices change; None: at any time."""
    sets = [windows for windows in windows_of(desired, rollout, line.gateway) if windows]
    if not sets:
        return None
    return float(min(max(window.duration_s for window in windows) for windows in sets))
