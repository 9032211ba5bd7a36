# SPDX-License-Identifier: Apache-2.0
"""Where to cut a network for devices whose order is given: exact, and the same on every machine.

Each device gets one part, so only the cuts are open. For the lowest latency that is a shortest way over the
boundaries. For the most throughput it is the lowest latency among the cuts that keep to the shortest possible period,
which bisection finds; ways to a boundary are then compared by their latency and by the use of each shared line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reconciler.pipeline.partition import DeviceClass, Partition, PartitionGoal, PlannedStage, StageTime


class _Way(NamedTuple):
    """A way to a boundary. Of equal ones, that with the earlier cuts is smaller."""

    latency_us: int
    ends: tuple[int, ...]
    lines: tuple[int, ...]  # how long each shared line is busy


def cuts_in_order(operators: int, places: Sequence[DeviceClass], goal: PartitionGoal) -> Partition | None:
    """Return the best cuts of a network for one device of each place, in this order; None: there are none."""
    fastest = _best(operators, places, None)
    if fastest is None or goal is not PartitionGoal.THROUGHPUT:
        return fastest
    low, high = 1, fastest.period_us
    while low < high:
        middle = (low + high) // 2
        if _best(operators, places, middle) is not None:
            high = middle
        else:
            low = middle + 1
    return _best(operators, places, high)


def furthest(operators: int, places: Sequence[DeviceClass]) -> list[int]:
    """Return how far the network reaches after each place at most, up to the place that no part fits."""
    reached, most = {0}, []
    for place in places:
        reached = {end for first, end in place.times if first in reached and end <= operators}
        if not reached:
            break
        most.append(max(reached))
    return most


def _best(operators: int, places: Sequence[DeviceClass], period_us: int | None) -> Partition | None:
    """Return the cuts with the lowest latency, among those within a period if one is given."""
    lines = sorted({place.line for place in places if place.line is not None}) if period_us is not None else []
    ways: dict[int, list[_Way]] = {0: [_Way(0, (), (0,) * len(lines))]}
    for place in places:
        line = lines.index(place.line) if place.line in lines else None
        found: dict[int, list[_Way]] = {}
        for (first, end), time in sorted(place.times.items()):
            if period_us is not None and time.busy_us > period_us:
                continue
            longer = (_longer(way, end, time, line) for way in ways.get(first, ()))
            found.setdefault(end, []).extend(
                way for way in longer if period_us is None or all(busy <= period_us for busy in way.lines)
            )
        ways = {end: _undominated(some) for end, some in found.items()}
    whole = ways.get(operators)
    return _partition(places, whole[0].ends) if whole else None


def _longer(way: _Way, end: int, time: StageTime, line: int | None) -> _Way:
    lines = way.lines
    if line is not None:
        lines = (*lines[:line], lines[line] + time.line_us, *lines[line + 1 :])
    return _Way(way.latency_us + time.busy_us, (*way.ends, end), lines)


def _undominated(ways: Iterable[_Way]) -> list[_Way]:
    """Keep each way that no other one surpasses in latency and in every line."""
    kept: list[_Way] = []
    for way in sorted(ways):
        if not any(all(its <= mine for its, mine in zip(other.lines, way.lines, strict=True)) for other in kept):
            kept.append(way)
    return kept


def _partition(places: Sequence[DeviceClass], ends: Sequence[int]) -> Partition:
    stages = []
    on_line: dict[str, int] = {}
    for place, first, end in zip(places, (0, *ends), ends, strict=False):
        time = place.times[first, end]
        stages.append(PlannedStage(first, end, place.name, time))
        if place.line is not None:
            on_line[place.line] = on_line.get(place.line, 0) + time.line_us
    return Partition(tuple(stages), max([*(stage.time.busy_us for stage in stages), *on_line.values()]))
