# SPDX-License-Identifier: Apache-2.0
"""Where to cut a network, and which class of devices runs each part: exact, and the same on every machine.

Dynamic programming over the boundaries and the number of devices used of each class. Times are whole microseconds,
so that no rounding depends on the order of a sum. Of equal answers, the one with fewer stages is returned, then the
one with the earlier cuts, then the one whose classes are given first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

Cut = tuple[int, int]  # a part: its first operator, and the one behind its last
Used = tuple[int, ...]  # devices of each class
Step = tuple[int, int, int]  # first, end, class


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

    @property
    def latency_us(self) -> int:
        """The time from an input to its result."""
        return sum(stage.time.busy_us for stage in self.stages)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The boundaries between the stages."""
        return tuple(stage.end for stage in self.stages[:-1])


def partition(
    operators: int, classes: Sequence[DeviceClass], goal: PartitionGoal, *, stages_max: int = 64
) -> Partition | None:
    """Return the best partition of a network with this number of operators; None: there is none."""
    search = _Search(operators, classes, stages_max)
    if goal is PartitionGoal.FEWEST_DEVICES:
        return search.best(lambda time: (1, time.busy_us))
    fastest = search.best(lambda time: (time.busy_us, 1))
    if fastest is None or goal is PartitionGoal.LATENCY:
        return fastest
    periods = _periods(classes, at_least=-(-fastest.latency_us // search.devices), at_most=fastest.period_us)
    place = bisect_left(periods, x=True, hi=len(periods) - 1, key=search.is_possible)
    return search.best(lambda time: (time.busy_us, 1), period_us=periods[place])


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

    def best(self, cost: Callable[[StageTime], Cost], period_us: int | None = None) -> Partition | None:
        """Return the partition with the smallest sum of costs, among those within a period if one is given."""
        found = self._smallest(cost, period_us)
        return self._partition(found[1]) if found is not None else None

    def is_possible(self, period_us: int) -> bool:
        """Return whether any partition keeps to this period: a search in depth, which tries long stages first."""
        lines = self._lines(period_us)
        options = self._options(lambda _: (1, 0), period_us, lines)
        fewest = self._costs_to_the_end(options)
        seen: list[list[Label]] = [[] for _ in range(self.operators)]
        waiting = [(0, self._start(lines))]
        while waiting:
            at, label = waiting.pop()
            if at == self.operators:
                return True
            if any(_surpasses(other, label) for other in seen[at]):
                continue
            seen[at].append(label)
            for option in sorted(options[at], key=lambda option: option.end):
                after = self._extended(label, at, option, period_us)
                if after is not None and after[0][0] + fewest[option.end][0] <= self.devices:
                    waiting.append((option.end, after))
        return False

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
        """Return the smallest label that reaches the end."""
        lines = self._lines(period_us)
        options = self._options(cost, period_us, lines)
        rest = self._costs_to_the_end(options)
        fewest = self._costs_to_the_end(self._options(lambda _: (1, 0), period_us, lines))
        reached: list[dict[tuple[Used, Used], Label]] = [{} for _ in range(self.operators + 1)]
        reached[0][(), ()] = self._start(lines)
        ended: Cost = _UNREACHABLE
        for at in range(self.operators):
            for label in _undominated(reached[at].values()):
                for option in options[at]:
                    after = self._extended(label, at, option, period_us)
                    if after is None or _sum(after[0], rest[option.end]) > ended:
                        continue
                    if len(after[1]) + fewest[option.end][0] > self.devices:
                        continue
                    held, place = reached[option.end], (after[2], after[3])
                    held[place] = min(after, held.get(place, after))
                    if option.end == self.operators:
                        ended = min(ended, after[0])
            reached[at].clear()
        return min(reached[self.operators].values(), default=None)

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

    def _partition(self, steps: Sequence[Step]) -> Partition:
        on_line: dict[str, int] = {}
        stages = []
        for first, end, number in steps:
            chosen = self.classes[number]
            time = chosen.times[first, end]
            stages.append(PlannedStage(first, end, chosen.name, time))
            if chosen.line is not None:
                on_line[chosen.line] = on_line.get(chosen.line, 0) + time.line_us
        period_us = max([*(stage.time.busy_us for stage in stages), *on_line.values()])
        return Partition(tuple(stages), period_us)


def _sum(one: Cost, other: Cost) -> Cost:
    return one[0] + other[0], one[1] + other[1]


def _undominated(labels: Iterable[Label]) -> list[Label]:
    """Leave out each way that another surpasses in every respect: what can follow it can follow the other."""
    kept: list[Label] = []
    for label in sorted(labels):
        if not any(_surpasses(other, label) for other in kept):
            kept.append(label)
    return kept


def _surpasses(one: Label, other: Label) -> bool:
    """Return whether a way uses no more of anything than another one, which is not smaller."""
    return (
        len(one[1]) <= len(other[1])
        and all(mine <= its for mine, its in zip(one[2], other[2], strict=True))
        and all(mine <= its for mine, its in zip(one[3], other[3], strict=True))
    )
