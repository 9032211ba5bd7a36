# SPDX-License-Identifier: Apache-2.0
"""Which devices go first, and whether the next wave may begin.

The choice is stable: it depends on the rollout, the model and the devices' names alone, so the same
commit chooses the same canaries on every gateway and after every restart, while the next version of
the model begins with other devices.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from reconciler.model import Device, DeviceId, FailureBudget, Rollout, Wave
from reconciler.plan.verdict import Standing, Verdict
from reconciler.selection import matcher

REST = "rest"  # the devices that no wave names come last, together


@dataclass(frozen=True, slots=True)
class Step:
    """One wave with its devices."""

    name: str
    members: tuple[DeviceId, ...]
    soak: timedelta = timedelta(0)
    by_selector: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rollout is."""

    opened: int  # so many steps, from the first, are open
    complete: bool
    stopped: str  # why the failure budget stops it; empty while it does not
    waiting: str  # what the next step waits for; empty where there is none
    until: datetime | None  # from then on time alone may change this


def stable_order(rollout: Rollout, devices: Iterable[Device]) -> list[Device]:
    """Put a rollout's devices into the order in which they are chosen."""
    return sorted(devices, key=_key(rollout))


def reordered(
    rollout: Rollout, order: Iterable[Device], moved: Collection[DeviceId], members: Mapping[DeviceId, Device]
) -> list[Device]:
    """Do what `stable_order` does, for few devices that came, went or changed since it was done."""
    new_order = [device for device in order if device.name not in moved]
    key = _key(rollout)
    for name in moved:
        if name in members:
            bisect.insort(new_order, members[name], key=key)
    return new_order


def _key(rollout: Rollout) -> Callable[[Device], bytes]:
    seed = hashlib.blake2b(f"{rollout.name}\0{rollout.model}\0".encode(), digest_size=8)

    def key(device: Device) -> bytes:
        name = device.name.encode()
        state = seed.copy()
        state.update(name)
        return state.digest() + name

    return key


def arrange(rollout: Rollout, order: Sequence[Device]) -> tuple[Step, ...]:
    """Deal the devices, in their stable order, to the waves; those that selectors name are dealt first.

    `count` and `percent` say how many devices have the model when the wave is over, earlier waves included.
    """
    if not rollout.waves:
        return (Step("all", tuple(device.name for device in order)),) if order else ()
    named, rest = _deal_by_selector(rollout.waves, order)
    steps = []
    dealt = taken = 0
    for wave in rollout.waves:
        members = named.get(wave.name, ())
        if wave.selector is None:
            share = max(0, min(_target(wave, len(order)) - dealt, len(rest) - taken))
            members = tuple(device.name for device in rest[taken : taken + share])
            taken += share
        dealt += len(members)
        steps.append(Step(wave.name, members, timedelta(seconds=wave.soak_s), wave.selector is not None))
    if taken < len(rest):
        steps.append(Step(REST, tuple(device.name for device in rest[taken:])))
    return tuple(steps)


def _deal_by_selector(
    waves: Sequence[Wave], order: Sequence[Device]
) -> tuple[dict[str, tuple[DeviceId, ...]], Sequence[Device]]:
    """Give each device to the first wave whose selector names it; return the others too."""
    named: dict[str, tuple[DeviceId, ...]] = {}
    rest = order
    for wave in waves:
        if wave.selector is not None:
            matches = matcher(wave.selector)
            named[wave.name] = tuple(device.name for device in rest if matches(device))
            rest = [device for device in rest if not matches(device)]
    return named, rest


def _target(wave: Wave, total: int) -> int:
    """Count the devices that have the model when this wave is over. A share is rounded up."""
    if wave.count is not None:
        return wave.count
    return _share(wave.percent or 0, total, ROUND_CEILING)


def allowed_failures(budget: FailureBudget, total: int) -> int:
    """Count the failures with which the rollout still goes on: a share rounded down; of two limits the smaller."""
    limits = [] if budget.count is None else [budget.count]
    if budget.percent is not None:
        limits.append(_share(budget.percent, total, ROUND_FLOOR))
    return min(limits, default=0)


def _share(percent: float, total: int, rounding: str) -> int:
    """Take a share in decimal, where 1.1 % of 1,000 is 11 and not a hair more."""
    return int((Decimal(str(percent)) * total / 100).to_integral_value(rounding))


@dataclass(slots=True)
class _Tally:
    """How the devices of one step stand."""

    done: int = 0
    due: int = 0
    soaking: int = 0
    soaked_at: datetime | None = None
    failed: int = 0
    missing: int = 0

    def add(self, verdict: Verdict, soak: timedelta, now: datetime) -> None:
        if verdict.standing is Standing.DUE:
            self.due += 1
        elif verdict.standing is Standing.SETTLED:
            self._add_settled(verdict, soak, now)
        elif verdict.standing is Standing.FAILED:
            self.failed += 1
        elif verdict.standing is Standing.MISSING:
            self.missing += 1

    def _add_settled(self, verdict: Verdict, soak: timedelta, now: datetime) -> None:
        """A device that was last heard after its soak time did its part; one that fell silent within it failed."""
        soaked_at = None if verdict.since is None else verdict.since + soak
        heard_until = now if verdict.lost_at is None else verdict.lost_at
        if not soak or (soaked_at is not None and soaked_at <= heard_until):
            self.done += 1
        elif verdict.lost_at is not None:
            self.failed += 1
        else:
            self.soaking += 1
            if soaked_at is not None and (self.soaked_at is None or soaked_at > self.soaked_at):
                self.soaked_at = soaked_at

    def words(self, total: int) -> str:
        parts = [f"{self.done} of {total} are done"]
        parts += [f"{self.due} to go"] if self.due else []
        if self.soaking:
            when = f" until {self.soaked_at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}" if self.soaked_at else ""
            parts.append(f"{self.soaking} soaking{when}")
        parts += [f"{self.missing} not reporting"] if self.missing else []
        parts += [f"{self.failed} failed"] if self.failed else []
        return ", ".join(parts)


def survey(rollout: Rollout, steps: Sequence[Step], verdicts: Mapping[DeviceId, Verdict], now: datetime) -> Progress:
    """See which steps are open: each opens when all before it are complete."""
    tallies = [_tally(step, verdicts, now) for step in steps]
    allowed = allowed_failures(rollout.budget, sum(len(step.members) for step in steps))
    failed = sum(tally.failed for tally in tallies)
    stopped = f"stopped: {failed} failed, {allowed} allowed" if failed > allowed else ""
    until = min((tally.soaked_at for tally in tallies if tally.soaked_at is not None), default=None)
    lost = itertools.accumulate(tally.failed + tally.missing for tally in tallies)
    over = [
        _is_over(step, tally, lost_too_many=so_far > allowed)
        for step, tally, so_far in zip(steps, tallies, lost, strict=True)
    ]
    complete = all(done or not step.members for step, done in zip(steps, over, strict=True))
    if all(over):
        return Progress(len(steps), complete, stopped, waiting="", until=until)
    first = over.index(False)
    waiting = f"wave {first + 1} ({steps[first].name}): {_words(steps[first], tallies[first])}"
    return Progress(first + 1, complete, stopped, waiting, until)


def _tally(step: Step, verdicts: Mapping[DeviceId, Verdict], now: datetime) -> _Tally:
    tally = _Tally()
    for name in step.members:
        tally.add(verdicts[name], step.soak, now)
    return tally


def _is_over(step: Step, tally: _Tally, *, lost_too_many: bool) -> bool:
    """Nobody is on the way, no more are lost than the budget allows, and somebody shows that it works.

    A wave whose selector leaves no device shows nothing, so it holds what comes after: a mistake that must be seen.
    """
    if not step.members:
        return not step.by_selector
    return not tally.due and not tally.soaking and not lost_too_many and tally.done > 0


def _words(step: Step, tally: _Tally) -> str:
    if not step.members:
        return "no device that its selector names can take the model"
    return tally.words(len(step.members))
