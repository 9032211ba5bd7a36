# SPDX-License-Identifier: Apache-2.0
"""The progress of a rollout: which waves are over, which are open, and whether its failure budget is spent."""

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

    opened: int  # the number of open waves, from the first
    complete: bool
    stopped: str  # why the failure budget stops it; empty if it does not
    waiting: str  # what the next wave waits for; empty if there is none
    until: datetime | None  # from then on, time alone may change this
    allowed: int = 0  # the number of failures with which the rollout continues
    tallies: tuple[Tally, ...] = ()  # one for each wave

    @property
    def failed(self) -> int:
        """The number of devices that failed."""
        return sum(tally.counts[WaveRole.FAILED] for tally in self.tallies)

    @property
    def at_risk(self) -> int:
        """The number of devices that may still fail."""
        return sum(tally.at_risk for tally in self.tallies)


def allowed_failures(budget: FailureBudget, total: int) -> int:
    """Return how many failures a budget allows: a percentage is rounded down, and the smaller of two limits counts."""
    limits = [] if budget.count is None else [budget.count]
    if budget.percent is not None:
        limits.append(share(budget.percent, total, ROUND_FLOOR))
    return min(limits, default=0)


def measure_progress(
    rollout: Rollout,
    steps: Sequence[WaveStep],
    verdicts: Mapping[DeviceId, DeviceVerdict],
    now: datetime,
    stopped_before: str = "",
) -> RolloutProgress:
    """Find which waves are open: each opens when all before it are over. A rollout that was stopped stays stopped."""
    tallies = tuple(_tally(step, verdicts, now) for step in steps)
    allowed = allowed_failures(rollout.failure_budget, sum(len(step.members) for step in steps))
    failed = sum(tally.counts[WaveRole.FAILED] for tally in tallies)
    stopped = stopped_before or (f"stopped: {failed} failed, {allowed} allowed" if failed > allowed else "")
    until = min((tally.next_soaked_at for tally in tallies if tally.next_soaked_at is not None), default=None)
    lost = itertools.accumulate(tally.lost for tally in tallies)
    over = [
        _is_over(step, tally, too_many_lost=lost_so_far > allowed)
        for step, tally, lost_so_far in zip(steps, tallies, lost, strict=True)
    ]
    complete = all(done or not step.members for step, done in zip(steps, over, strict=True))
    opened, waiting = len(steps), ""
    if not all(over):
        first = over.index(False)
        opened = first + 1
        waiting = f"wave {opened} ({steps[first].name}): {_wave_summary(steps[first], tallies[first])}"
    return RolloutProgress(opened, complete, stopped, waiting, until, allowed, tallies)


def _tally(step: WaveStep, verdicts: Mapping[DeviceId, DeviceVerdict], now: datetime) -> Tally:
    tally = Tally()
    for device in step.members:
        tally.add(device, verdicts[device], step.soak, now)
    return tally


def _is_over(step: WaveStep, tally: Tally, *, too_many_lost: bool) -> bool:
    """A wave is over when it waits for no device, the budget allows its losses, and some device shows success.

    A wave whose selector matches no device shows nothing. It holds the waves after it, so that the mistake is seen.
    """
    if not step.members:
        return not step.by_selector
    return not tally.unfinished and not too_many_lost and tally.done > 0


def _wave_summary(step: WaveStep, tally: Tally) -> str:
    if not step.members:
        return "no device that its selector matches can have the model"
    return tally.summary(len(step.members))
