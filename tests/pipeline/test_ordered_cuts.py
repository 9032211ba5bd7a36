# SPDX-License-Identifier: Apache-2.0
"""Cuts for devices in a given order are optimal, which all other cuts show."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.pipeline.ordered_cuts import cuts_in_order, furthest
from reconciler.pipeline.partition import DeviceClass, PartitionGoal, StageTime
from tests.pipeline.brute_force import drawn, every_way, figures, in_order

PROBLEMS = 400
GOALS = (PartitionGoal.LATENCY, PartitionGoal.THROUGHPUT)
Places = Sequence[DeviceClass]


def places_of(seed: int) -> tuple[int, list[DeviceClass]]:
    """Draw a problem, and put its devices in a row: one place for each."""
    operators, classes = drawn(seed)
    return operators, [each for each in classes for _ in range(each.count)][: 1 + seed % 4]


def best_in_order(operators: int, places: Places, goal: PartitionGoal) -> tuple[int, ...] | None:
    """Try all cuts that give each place one part, in order."""
    singles = [DeviceClass(str(number), 1, place.times, place.line) for number, place in enumerate(places)]
    whole = list(range(len(places)))
    ways = [way for way in every_way(operators, singles) if [number for _, _, number in way] == whole]
    return min((in_order(goal, figures(way, singles)) for way in ways), default=None)


@pytest.mark.parametrize("goal", GOALS)
def test_no_other_cuts_are_better(goal: PartitionGoal) -> None:
    possible = 0
    for seed in range(PROBLEMS):
        operators, places = places_of(seed)
        found, wanted = cuts_in_order(operators, places, goal), best_in_order(operators, places, goal)
        reached = found and in_order(goal, (found.latency_us, found.period_us, len(found.stages)))
        assert reached == wanted, seed
        possible += found is not None
    assert PROBLEMS / 4 < possible < PROBLEMS


def test_each_place_has_one_part_in_its_order() -> None:
    for seed in range(PROBLEMS):
        operators, places = places_of(seed)
        found = cuts_in_order(operators, places, PartitionGoal.LATENCY)
        if found is not None:
            assert [0, *found.cuts, operators] == [found.stages[0].first, *(stage.end for stage in found.stages)]
            assert [stage.time for stage in found.stages] == [
                place.times[stage.first, stage.end] for place, stage in zip(places, found.stages, strict=True)
            ]


def test_of_equal_cuts_the_earlier_ones_are_taken() -> None:
    times = {(first, end): StageTime(end - first) for first in range(4) for end in range(first + 1, 5)}
    found = cuts_in_order(4, [DeviceClass("a", 1, times)] * 3, PartitionGoal.LATENCY)
    assert found is not None
    assert found.cuts == (1, 2)


def test_how_far_a_network_reaches_explains_why_no_cut_fits() -> None:
    times = {(0, 1): StageTime(1), (1, 2): StageTime(1)}
    a, b = DeviceClass("a", 1, times), DeviceClass("b", 1, {(0, 1): StageTime(1)})
    assert furthest(3, [a, a]) == [1, 2]
    assert furthest(3, [a, b, a]) == [1]
    assert cuts_in_order(3, [a, a], PartitionGoal.LATENCY) is None
