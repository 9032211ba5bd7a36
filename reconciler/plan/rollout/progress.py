# SPDX-License-Identifier: Apache-2.0
"""How far a rollout is: which waves are over, which may begin, and whether its failure budget is spent."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR

from reconciler.model import DeviceId, FailureBudget, Rollout
from reconciler.plan.device.verdict import DeviceVerdict
from reconciler.plan.rollout.tally import Tally, WaveRole
from reconciler.plan.rollout.waves import WaveStep, share


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """How far a rollout is."""

    opened: int  # so many steps, from the first, are open
    complete: bool
    stopped: str  # why the failure budget stops it; empty while it does not
    waiting: str  # what the next step waits for; empty where there is none
    until: datetime | None  # from then on time alone may change this
    allowed: int = 0  # failures with which it still goes on
    tallies: tuple[Tally, ...] = ()  # of the steps

    @property
    def failed(self) -> int:
        """Count the devices that failed."""
        return sum(tally.counts[WaveRole.FAILED] for tally in self.tallies)

    @property
    def at_risk(self) -> int:
        """Count the devices that may still fail."""
        return sum(tally.at_risk for tally in self.tallies)


def allowed_failures(budget: FailureBudget, total: int) -> int:
    """Count the failures with which the rollout still goes on: a share rounded down; of two limits the smaller."""
    limits = [] if budget.count is None else [budget.count]
    if budget.percent is not None:
        limits.append(share(budget.percent, total, ROUND_FLOOR))
    return min(limits, default=0)


def survey(
    rollout: Rollout,
    steps: Sequence[WaveStep],
    verdicts: Mapping[DeviceId, DeviceVerdict],
    now: datetime,
    stopped_before: str = "",
) -> RolloutProgress:
    """See which steps are open: each opens when all before it are complete. What was stopped stays stopped."""
    tallies = tuple(_tally(step, verdicts, now) for step in steps)
    allowed = allowed_failures(rollout.budget, sum(len(step.members) for step in steps))
    failed = sum(tally.counts[WaveRole.FAILED] for tally in tallies)
    stopped = stopped_before or (f"stopped: {failed} failed, {allowed} allowed" if failed > allowed else "")
    until = min((tally.next_soaked_at for tally in tallies if tally.next_soaked_at is not None), default=None)
    lost = itertools.accumulate(tally.lost for tally in tallies)
    over = [
        _is_over(step, tally, lost_too_many=so_far > allowed)
        for step, tally, so_far in zip(steps, tallies, lost, strict=True)
    ]
    complete = all(done or not step.members for step, done in zip(steps, over, strict=True))
    opened, waiting = len(steps), ""
    if not all(over):
        first = over.index(False)
        opened, waiting = first + 1, f"wave {first + 1} ({steps[first].name}): {_words(steps[first], tallies[first])}"
    return RolloutProgress(opened, complete, stopped, waiting, until, allowed, tallies)


def _tally(step: WaveStep, verdicts: Mapping[DeviceId, DeviceVerdict], now: datetime) -> Tally:
    tally = Tally()
    for name in step.members:
        tally.add(name, verdicts[name], step.soak, now)
    return tally


def _is_over(step: WaveStep, tally: Tally, *, lost_too_many: bool) -> bool:
    """Nobody is on the way, no more are lost than the budget allows, and somebody shows that it works.

    A wave whose selector leaves no device shows nothing, so it holds what comes after: a mistake that must be seen.
    """
    if not step.members:
        return not step.by_selector
    return not tally.on_the_way and not lost_too_many and tally.done > 0


def _words(step: WaveStep, tally: Tally) -> str:
    if not step.members:
        return "no device that its selector names can take the model"
    return tally.words(len(step.members))
