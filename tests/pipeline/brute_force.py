# SPDX-License-Identifier: Apache-2.0
"""Every partition of a small network, one by one; the greedy rule that people would try first; drawn problems."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from reconciler.pipeline.partition import DeviceClass, PartitionGoal, StageTime

Way = tuple[tuple[int, int, int], ...]


def every_way(operators: int, classes: Sequence[DeviceClass], begin: int = 0, used: Way = ()) -> Iterator[Way]:
    if begin == operators:
        yield used
        return
    taken = Counter(number for _, _, number in used)
    for number, each in enumerate(classes):
        if taken[number] < each.count:
            for end in range(begin + 1, operators + 1):
                if (begin, end) in each.times:
                    yield from every_way(operators, classes, end, (*used, (begin, end, number)))


def figures(way: Way, classes: Sequence[DeviceClass]) -> tuple[int, int, int]:
    """Return latency, period and stages."""
    times = [classes[number].times[first, end] for first, end, number in way]
    lines: Counter[str] = Counter()
    for (_, _, number), time in zip(way, times, strict=True):
        if (line := classes[number].line) is not None:
            lines[line] += time.line_us
    period = max([*(time.busy_us for time in times), *lines.values()])
    return sum(time.busy_us for time in times), period, len(way)


def best(operators: int, classes: Sequence[DeviceClass], goal: PartitionGoal) -> tuple[int, ...] | None:
    """Return what a partition for this goal can reach: its figures in the order of their weight."""
    found = [figures(way, classes) for way in every_way(operators, classes)]
    return min((in_order(goal, each) for each in found), default=None)


def in_order(goal: PartitionGoal, figure: tuple[int, int, int]) -> tuple[int, ...]:
    latency, period, stages = figure
    if goal is PartitionGoal.LATENCY:
        return latency, stages
    return (stages, latency) if goal is PartitionGoal.FEWEST_DEVICES else (period, latency, stages)


def greedy(operators: int, classes: Sequence[DeviceClass]) -> Way | None:
    """Fill each device as far as it goes, with the class that gets further, then the faster one."""
    way: Way = ()
    at = 0
    while at < operators:
        taken = Counter(number for _, _, number in way)
        options = [
            (-end, time.busy_us, number)
            for number, each in enumerate(classes)
            if taken[number] < each.count
            for (first, end), time in each.times.items()
            if first == at
        ]
        if not options:
            return None
        end, _, number = min(options)
        way, at = (*way, (at, -end, number)), -end
    return way


def drawn(seed: int) -> tuple[int, list[DeviceClass]]:
    """Draw a small problem: classes with a few devices each, some on a shared line, and parts that do not fit."""
    chance = random.Random(seed)
    operators = chance.randint(1, 6)
    classes = []
    for number in range(chance.randint(1, 3)):
        line = chance.choice([None, None, "a", "b"])
        times = {}
        for first in range(operators):
            for end in range(first + 1, operators + 1):
                if chance.random() < 0.7:
                    on_line = chance.randint(0, 9) if line is not None else 0
                    times[first, end] = StageTime(on_line + chance.randint(1, 12), on_line)
        classes.append(DeviceClass(f"c{number}", chance.randint(1, 3), times, line))
    return operators, classes


def long_network(operators: int = 64, longest: int = 16) -> tuple[int, list[DeviceClass]]:
    """Draw a long network for four classes of four devices, two of which are on a shared line each."""
    chance = random.Random(1)
    work = [chance.randint(100, 2000) for _ in range(operators)]
    moved = [chance.randint(1, 60) for _ in range(operators + 1)]
    classes = []
    for number, (slowness, line) in enumerate([(1, None), (2, None), (3, "a"), (3, "b")]):
        times = {}
        for first in range(operators):
            for end in range(first + 1, min(operators, first + longest) + 1):
                on_line = 10 * (moved[first] + moved[end]) if line is not None else 0
                times[first, end] = StageTime(on_line + slowness * sum(work[first:end]) // 2, on_line)
        classes.append(DeviceClass(f"c{number}", 4, times, line))
    return operators, classes
