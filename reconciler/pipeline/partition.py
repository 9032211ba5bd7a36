# SPDX-License-Identifier: Apache-2.0
"""Where to cut a network, and which class of devices runs each part: exact, and the same on every machine.

A best-first search (A*) over the boundaries and the number of devices used of each class, with the least cost to the
end as its bound. Times are whole microseconds, so that no rounding depends on the order of a sum. Of equal answers, the
one with fewer stages is returned, then the one with the earlier cuts, then the one whose classes are given first.

With shared lines or many classes, a search can take exponentially many steps. It ends after a number of steps, which is
the same on every machine; then the best partition found so far is returned, and it is not proven.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple

Cut = tuple[int, int]  # a part: its first operator, and the one behind its last
Used = tuple[int, ...]  # devices of each class
Step = tuple[int, int, int]  # first, end, class
STEPS_MAX = 1_000_000  # of one search: ways that are extended, and comparisons with other ways


class PartitionGoal(StrEnum):
    """What a partition is to minimize first."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    FEWEST_DEVICES = "fewest-devices"


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long one input keeps the device of a stage busy, and of that its shared line, in microseconds."""

    busy_us: int
    line_us: int = 0


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """Devices that are alike: how many, the line that they share, and how long each part that fits takes them."""

    name: str
    count: int
    times: Mapping[Cut, StageTime]
    line: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One stage of a partition."""

    first: int
    end: int
    device_class: str
    time: StageTime


@dataclass(frozen=True, slots=True)
class Partition:
    """The stages of a pipeline, in order."""

    stages: tuple[PlannedStage, ...]
    period_us: int  # from one result to the next, when inputs are not rare
    proven: bool = True  # False: a search ended early, and there may be a better one

    @property
    def latency_us(self) -> int:
        """The time from an input to its result."""
        return sum(stage.time.busy_us for stage in self.stages)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The boundaries between the stages."""
        return tuple(stage.end for stage in self.stages[:-1])


@dataclass(slots=True)
class SearchEffort:
    """How many steps each search may take, and how many all of them took."""

    steps_max: int = STEPS_MAX
    searches: int = 0
    steps: int = 0
    ended_early: bool = False
    _left: int = field(default=0, init=False)

    def begin(self) -> None:
        """Begin a search."""
        self.searches += 1
        self._left = self.steps_max

    def spend(self, steps: int) -> bool:
        """Count steps, and return whether the search may take them."""
        if steps > self._left:
            self.ended_early = True
            return False
        self._left -= steps
        self.steps += steps
        return True


def partition(
    operators: int,
    classes: Sequence[DeviceClass],
    goal: PartitionGoal,
    *,
    stages_max: int = 64,
    effort: SearchEffort | None = None,
) -> Partition | None:
    """Return the best partition of a network with this number of operators; None: none was found.

    Only if the effort has not ended early, there is no better one, or none at all.
    """
    search = _Search(operators, classes, stages_max, effort if effort is not None else SearchEffort())
    if goal is PartitionGoal.FEWEST_DEVICES:
        return search.best(lambda time: (1, time.busy_us)) or search.any_within(None)
    fastest = search.best(lambda time: (time.busy_us, 1)) or search.any_within(None)
    if fastest is None or goal is PartitionGoal.LATENCY:
        return fastest
    return _fastest_period(search, classes, fastest)


def _fastest_period(search: _Search, classes: Sequence[DeviceClass], fastest: Partition) -> Partition:
    """Return the partition with the shortest period, and of those the one with the lowest latency."""
    reached = fastest

    def is_reached(period_us: int) -> bool:
        nonlocal reached
        found = search.any_within(period_us)
        if found is not None and found.period_us < reached.period_us:
            reached = found
        return found is not None

    least_us = 0 if search.effort.ended_early else -(-fastest.latency_us // search.devices)
    periods = _periods(classes, at_least=least_us, at_most=fastest.period_us)
    bisect_left(periods, x=True, hi=len(periods) - 1, key=is_reached)
    best = search.best(lambda time: (time.busy_us, 1), period_us=reached.period_us) or reached
    return replace(best, proven=not search.effort.ended_early)


def _periods(classes: Sequence[DeviceClass], *, at_least: int, at_most: int) -> Sequence[int]:
    """Return the periods that a partition can have: without a shared line, each is the time of one of its stages."""
    if any(each.line is not None for each in classes):
        return range(at_least, at_most + 1)
    times = {time.busy_us for each in classes for time in each.times.values()}
    return sorted(time for time in times if at_least <= time <= at_most)


Cost = tuple[int, int]
Label = tuple[Cost, tuple[Step, ...], Used, tuple[int, ...]]  # a way to a boundary: its steps, devices and lines used
_UNREACHABLE = (1 << 62, 1 << 62)


class _Option(NamedTuple):
    """A stage that may begin at a boundary."""

    number: int  # of the class
    end: int
    cost: Cost
    line: int | None
    line_us: int


@dataclass(frozen=True, slots=True)
class _Search:
    operators: int
    classes: Sequence[DeviceClass]
    stages_max: int
    effort: SearchEffort

    def best(self, cost: Callable[[StageTime], Cost], period_us: int | None = None) -> Partition | None:
        """Return the partition with the smallest sum of costs, among those within a period if one is given."""
        return self._partition(self._smallest(cost, period_us))

    def any_within(self, period_us: int | None) -> Partition | None:
        """Return a partition that keeps to this period: a search in depth, which tries long stages first."""
        self.effort.begin()
        lines = self._lines(period_us)
        options = self._options(lambda _: (1, 0), period_us, lines)
        fewest = self._costs_to_the_end(options)
        seen: list[list[Label]] = [[] for _ in range(self.operators)]
        waiting = [(0, self._start(lines))]
        while waiting:
            at, label = waiting.pop()
            if at == self.operators:
                return self._partition(label)
            if not self.effort.spend(len(seen[at]) + len(options[at])):
                break
            if any(_surpasses(other, label) for other in seen[at]):
                continue
            seen[at].append(label)
            for option in sorted(options[at], key=lambda option: option.end):
                after = self._extended(label, at, option, period_us)
                if after is not None and after[0][0] + fewest[option.end][0] <= self.devices:
                    waiting.append((option.end, after))
        return None

    @property
    def devices(self) -> int:
        """The most stages that there can be."""
        return min(self.stages_max, sum(each.count for each in self.classes))

    def _lines(self, period_us: int | None) -> list[str]:
        """Return the shared lines. They matter only if there is a period to keep to."""
        return sorted({each.line for each in self.classes if each.line is not None}) if period_us is not None else []

    def _start(self, lines: Sequence[str]) -> Label:
        return (0, 0), (), (0,) * len(self.classes), (0,) * len(lines)

    def _smallest(self, cost: Callable[[StageTime], Cost], period_us: int | None) -> Label | None:
        """Return the smallest label that reaches the end; None: there is none, or the search ended early.

        Of equal costs, an earlier boundary comes first. So all equal ways to a boundary are known when the first of
        them is extended, and it is the one that is returned if several are best.
        """
        self.effort.begin()
        lines = self._lines(period_us)
        options = self._options(cost, period_us, lines)
        rest = self._costs_to_the_end(options)
        fewest = self._costs_to_the_end(self._options(lambda _: (1, 0), period_us, lines))
        extended: list[list[Label]] = [[] for _ in range(self.operators)]
        waiting = [(rest[0], 0, self._start(lines))]
        while waiting:
            _, at, label = heappop(waiting)
            if at == self.operators:
                return label
            if not self.effort.spend(len(extended[at]) + len(options[at])):
                break
            if any(_surpasses(other, label) for other in extended[at]):
                continue  # what can follow it can follow the other
            extended[at].append(label)
            for option in options[at]:
                after = self._extended(label, at, option, period_us)
                if after is not None and len(after[1]) + fewest[option.end][0] <= self.devices:
                    heappush(waiting, (_sum(after[0], rest[option.end]), option.end, after))
        return None

    def _extended(self, label: Label, at: int, option: _Option, period_us: int | None) -> Label | None:
        """Add a stage to a way; None: there is no device for it, or a line is used for too long."""
        cost, steps, used, busy = label
        number = option.number
        if used[number] >= self.classes[number].count or len(steps) >= self.stages_max:
            return None
        if option.line is not None:
            busy = (*busy[: option.line], busy[option.line] + option.line_us, *busy[option.line + 1 :])
            if period_us is not None and busy[option.line] > period_us:
                return None
        then = (*used[:number], used[number] + 1, *used[number + 1 :])
        return _sum(cost, option.cost), (*steps, (at, option.end, number)), then, busy

    def _options(
        self, cost: Callable[[StageTime], Cost], period_us: int | None, lines: Sequence[str]
    ) -> list[list[_Option]]:
        options: list[list[_Option]] = [[] for _ in range(self.operators)]
        for number, each in enumerate(self.classes):
            line = lines.index(each.line) if each.line in lines else None
            for (first, end), time in sorted(each.times.items()):
                if period_us is None or time.busy_us <= period_us:
                    options[first].append(_Option(number, end, cost(time), line, time.line_us))
        return options

    def _costs_to_the_end(self, options: Sequence[Sequence[_Option]]) -> list[Cost]:
        """Return the least cost from each boundary to the end if every class had enough devices."""
        rest = [_UNREACHABLE] * self.operators + [(0, 0)]
        for at in reversed(range(self.operators)):
            ways = (_sum(option.cost, rest[option.end]) for option in options[at] if rest[option.end] < _UNREACHABLE)
            rest[at] = min(ways, default=_UNREACHABLE)
        return rest

    def _partition(self, label: Label | None) -> Partition | None:
        if label is None:
            return None
        on_line: dict[str, int] = {}
        stages = []
        for first, end, number in label[1]:
            chosen = self.classes[number]
            time = chosen.times[first, end]
            stages.append(PlannedStage(first, end, chosen.name, time))
            if chosen.line is not None:
                on_line[chosen.line] = on_line.get(chosen.line, 0) + time.line_us
        period_us = max([*(stage.time.busy_us for stage in stages), *on_line.values()])
        return Partition(tuple(stages), period_us, proven=not self.effort.ended_early)


def _sum(one: Cost, other: Cost) -> Cost:
    return one[0] + other[0], one[1] + other[1]


def _surpasses(one: Label, other: Label) -> bool:
    """Return whether a way uses no more of anything than another one, which is not smaller."""
    return (
        len(one[1]) <= len(other[1])
        and all(mine <= its for mine, its in zip(one[2], other[2], strict=True))
        and all(mine <= its for mine, its in zip(one[3], other[3], strict=True))
    )
