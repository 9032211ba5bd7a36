# SPDX-License-Identifier: Apache-2.0
"""Partitions are optimal, which every other partition shows, and do not depend on the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.pipeline.partition import (
    DeviceClass,
    Partition,
    PartitionGoal,
    SearchEffort,
    StageTime,
    partition,
)
from tests.pipeline.brute_force import best, drawn, figures, greedy, in_order, long_network

PROBLEMS = 300  # `make bench-pipeline` tries 5,000


def reached(found: Partition, goal: PartitionGoal) -> tuple[int, ...]:
    return in_order(goal, (found.latency_us, found.period_us, len(found.stages)))


@pytest.mark.parametrize("goal", PartitionGoal)
def test_no_other_partition_is_better(goal: PartitionGoal) -> None:
    possible = 0
    for seed in range(PROBLEMS):
        operators, classes = drawn(seed)
        found, wanted = partition(operators, classes, goal), best(operators, classes, goal)
        assert (found and reached(found, goal)) == wanted, seed
        possible += found is not None
    assert PROBLEMS / 4 < possible < PROBLEMS


@pytest.mark.parametrize("goal", PartitionGoal)
def test_a_partition_is_whole_and_keeps_to_the_devices_there_are(goal: PartitionGoal) -> None:
    for seed in range(PROBLEMS):
        operators, classes = drawn(seed)
        found = partition(operators, classes, goal)
        if found is None:
            continue
        assert [0, *found.cuts, operators] == [found.stages[0].first, *(stage.end for stage in found.stages)]
        assert all(stage.first < stage.end for stage in found.stages)
        by_name = {each.name: each for each in classes}
        for name, each in by_name.items():
            assert sum(stage.device_class == name for stage in found.stages) <= each.count
        assert all(stage.time == by_name[stage.device_class].times[stage.first, stage.end] for stage in found.stages)


def test_greedy_misses_what_is_best() -> None:
    """Filling the first device leaves a second part that moves much; an earlier cut moves little."""
    times = {(0, 2): StageTime(30), (2, 3): StageTime(90), (0, 1): StageTime(25), (1, 3): StageTime(40)}
    classes = [DeviceClass("board", 2, times)]
    taken = greedy(3, classes)
    assert taken is not None
    assert figures(taken, classes)[0] == 120
    found = partition(3, classes, PartitionGoal.LATENCY)
    assert found is not None
    assert (found.latency_us, found.cuts) == (65, (1,))


def test_greedy_finds_nothing_where_there_is_a_partition() -> None:
    classes = [DeviceClass("board", 2, {(0, 2): StageTime(1), (0, 1): StageTime(1), (1, 3): StageTime(1)})]
    assert greedy(3, classes) is None
    found = partition(3, classes, PartitionGoal.LATENCY)
    assert found is not None
    assert found.cuts == (1,)


def test_a_shared_line_bounds_the_period() -> None:
    times = {(0, 1): StageTime(10, 8), (1, 2): StageTime(10, 8), (0, 2): StageTime(18, 8)}
    apart = DeviceClass("a", 2, times)
    for each, wanted in ((apart, 10), (replace(apart, line="ttyS0"), 16)):
        found = partition(2, [each], PartitionGoal.THROUGHPUT)
        assert found is not None
        assert (found.period_us, len(found.stages)) == (wanted, 2)


def test_equal_partitions_are_told_apart_by_stages_then_cuts_then_classes() -> None:
    same = {(0, 2): StageTime(10), (0, 1): StageTime(5), (1, 2): StageTime(5)}
    found = partition(2, [DeviceClass("b", 2, same), DeviceClass("a", 2, same)], PartitionGoal.LATENCY)
    assert found is not None
    assert [(stage.first, stage.end, stage.device_class) for stage in found.stages] == [(0, 2, "b")]
    halves = {cut: time for cut, time in same.items() if cut != (0, 2)}
    found = partition(2, [DeviceClass("b", 1, halves), DeviceClass("a", 1, halves)], PartitionGoal.LATENCY)
    assert found is not None
    assert [stage.device_class for stage in found.stages] == ["b", "a"]


def test_the_number_of_stages_can_be_limited() -> None:
    times = {(0, 1): StageTime(1), (1, 2): StageTime(1), (0, 2): StageTime(9)}
    classes = [DeviceClass("a", 2, times)]
    few = partition(2, classes, PartitionGoal.LATENCY, stages_max=1)
    assert few is not None
    assert len(few.stages) == 1
    assert partition(2, [DeviceClass("a", 2, {(0, 1): StageTime(1)})], PartitionGoal.LATENCY) is None


def test_a_search_that_would_take_too_long_ends_with_the_best_it_found() -> None:
    """64 operators, 16 devices and two shared lines: this had no result after minutes."""
    operators, classes = long_network()
    effort = SearchEffort(20_000)
    found = partition(operators, classes, PartitionGoal.THROUGHPUT, effort=effort)
    assert found is not None
    assert effort.ended_early
    assert not found.proven
    assert effort.steps <= effort.searches * effort.steps_max
    assert effort.searches <= 3 + periods_tried(classes)
    assert [0, *found.cuts, operators] == [found.stages[0].first, *(stage.end for stage in found.stages)]
    fastest = partition(operators, classes, PartitionGoal.LATENCY)
    assert fastest is not None
    assert fastest.proven
    assert found.period_us < fastest.period_us


def test_a_long_network_without_shared_lines_is_proven() -> None:
    operators, classes = long_network()
    effort = SearchEffort()
    found = partition(
        operators, [replace(each, line=None) for each in classes], PartitionGoal.THROUGHPUT, effort=effort
    )
    assert found is not None
    assert found.proven
    assert effort.steps < 8 * effort.steps_max


def periods_tried(classes: list[DeviceClass]) -> int:
    """Return how many periods bisection tries at most."""
    return max(time.busy_us for each in classes for time in each.times.values()).bit_length()


@pytest.mark.parametrize("goal", PartitionGoal)
def test_what_a_search_proves_is_best_and_what_it_does_not_prove_is_possible(goal: PartitionGoal) -> None:
    proven = early = 0
    for seed in range(PROBLEMS):
        operators, classes = drawn(seed)
        effort = SearchEffort(9)
        found, wanted = partition(operators, classes, goal, effort=effort), best(operators, classes, goal)
        early += effort.ended_early
        if found is None:
            assert wanted is None or effort.ended_early
            continue
        assert wanted is not None
        assert found.proven != effort.ended_early
        assert reached(found, goal) == wanted if found.proven else reached(found, goal) >= wanted
        proven += found.proven
    assert min(proven, early) > PROBLEMS / 20
