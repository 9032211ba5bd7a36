# SPDX-License-Identifier: Apache-2.0
"""One rollout of a change: its waves, the devices that it affects, and when it could end at the earliest."""

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
from reconciler.review.transfer_time import ReviewLine, line_s, windows_of, work_through
from reconciler.review.transfer_volume import TransferLoad

INSTALL, PREBAKED, CONFIGURE, BLOCKED = "install", "pre-baked", "configure", "blocked"


@dataclass(frozen=True, slots=True)
class LineWork:
    """What one wave transfers over one line, and how many windows that takes."""

    line: ReviewLine
    work_s: float
    windows: int
    never: bool  # does not end within the windows that were tried


@dataclass(frozen=True, slots=True)
class WaveReview:
    """One wave of the rollout."""

    name: str
    members: tuple[DeviceId, ...]
    affected: tuple[DeviceId, ...]
    counts: Mapping[str, int]
    soak_s: float
    work: tuple[LineWork, ...]
    ends_at: datetime | None  # including the soak; None: unknown

    @property
    def longest_s(self) -> float:
        """Return how long the slowest line of the wave is busy."""
        return max((each.work_s for each in self.work), default=0.0)


@dataclass(frozen=True, slots=True)
class RolloutReview:
    """One rollout with affected devices."""

    rollout: Rollout
    before: Rollout | None
    devices: int
    allowed_failures: int
    waves: tuple[WaveReview, ...]
    blocked: int
    ends_at: datetime | None


def review_rollout(  # noqa: PLR0913, PLR0917 - one parameter for each dependency
    desired: Desired,
    rollout: Rollout,
    before: Rollout | None,
    evaluation: RolloutEvaluation,
    affected: Iterable[AffectedDevice],
    loads: Iterable[TransferLoad],
    now: datetime,
) -> RolloutReview:
    """Walk through the waves in order. The best case: no device fails and every device answers."""
    mine = {each.device: each for each in affected}
    transfers = {name: load for load in loads for name in load.devices if name in mine}
    waves = []
    at: datetime | None = now
    for index, step in enumerate(evaluation.steps):
        soaked_at = evaluation.progress.tallies[index].soaked_at
        if at is not None and soaked_at is not None:
            at = max(at, soaked_at)  # this wave soaks already
        wave = _wave(desired, rollout, step, mine, transfers, at)
        waves.append(wave)
        at = wave.ends_at
    blocked = sum(isinstance(each.action, Blocked) for each in mine.values())
    members = sum(len(step.members) for step in evaluation.steps)
    return RolloutReview(rollout, before, members, evaluation.progress.allowed, tuple(waves), blocked, at)


def _wave(  # noqa: PLR0913, PLR0917 - one parameter for each dependency
    desired: Desired,
    rollout: Rollout,
    step: WaveStep,
    mine: Mapping[DeviceId, AffectedDevice],
    transfers: Mapping[DeviceId, TransferLoad],
    begins_at: datetime | None,
) -> WaveReview:
    affected = tuple(name for name in step.members if name in mine)
    counts: Counter[str] = Counter(_kind(mine[name]) for name in affected)
    by_line: dict[ReviewLine, list[int]] = defaultdict(list)
    for name in affected:
        load = transfers.get(name)
        if load is not None:
            by_line[load.line].append(load.payload.size_bytes)
    work = []
    ends: list[datetime | None] = [begins_at]
    for line, payloads in sorted(by_line.items()):
        work_s = line_s(line, desired.gateways.get(line.gateway), payloads) or 0.0
        through = work_through(windows_of(desired, rollout, line.gateway), begins_at or _EPOCH, work_s)
        ends.append(None if begins_at is None else through.ends_at)
        work.append(LineWork(line, work_s, through.windows, never=through.ends_at is None))
    known = [end for end in ends if end is not None]
    over = max(known) + step.soak if len(known) == len(ends) and affected else begins_at
    if len(known) != len(ends):
        over = None
    return WaveReview(step.name, step.members, affected, counts, step.soak.total_seconds(), tuple(work), over)


_EPOCH = datetime.fromisoformat("2000-01-03T00:00:00+00:00")  # a Monday: any week serves to count windows


def _kind(each: AffectedDevice) -> str:
    match each.action:
        case Install():
            return INSTALL
        case ActivatePrebaked():
            return PREBAKED
        case Configure():
            return CONFIGURE
        case _:
            return BLOCKED


def windows_within_s(desired: Desired, rollout: Rollout, line: ReviewLine) -> float | None:
    """Return the longest window in which a line's devices may change; None: at any time."""
    sets = [windows for windows in windows_of(desired, rollout, line.gateway) if windows]
    if not sets:
        return None
    return float(min(max(window.duration_s for window in windows) for windows in sets))
