# SPDX-License-Identifier: Apache-2.0
"""Which devices are in which wave, and in which order they are updated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import RolloutId, Selector, Wave
from reconciler.plan.rollout.waves import assign_waves, stable_order, update_order
from tests.plan.example_fleet import EVERYWHERE, V1, device

TEN = [device(number) for number in range(10)]
CANARIES = Selector(match_labels={"canary": "yes"})


def sizes(waves: Sequence[Wave], count: int = 10) -> list[tuple[str, int]]:
    steps = assign_waves(replace(EVERYWHERE, waves=tuple(waves)), [device(number) for number in range(count)])
    return [(step.name, len(step.members)) for step in steps]


def test_without_waves_all_devices_are_in_one() -> None:
    assert sizes(()) == [("all", 10)]
    assert sizes((), count=0) == []


def test_counts_and_percentages_include_earlier_waves_and_the_rest_comes_last() -> None:
    assert sizes([Wave("a", count=2), Wave("b", percent=50)]) == [("a", 2), ("b", 3), ("rest", 5)]


def test_a_percentage_is_rounded_up_and_capped_at_the_devices_left() -> None:
    assert sizes([Wave("a", percent=1.1)], count=1000) == [("a", 11), ("rest", 989)]
    assert sizes([Wave("a", percent=1), Wave("b", count=50)]) == [("a", 1), ("b", 9)]
    assert sizes([Wave("a", count=5), Wave("b", percent=20), Wave("c", percent=100)]) == [("a", 5), ("b", 0), ("c", 5)]


def test_waves_with_selectors_take_their_devices_first() -> None:
    fleet = [*TEN[:8], device(8, canary="yes"), device(9, canary="yes")]
    waves = (Wave("a", count=3), Wave("named", selector=CANARIES), Wave("half", percent=60))
    steps = assign_waves(replace(EVERYWHERE, waves=waves), fleet)
    assert [len(step.members) for step in steps] == [3, 2, 1, 4]
    assert steps[1].members == ("d008", "d009")


def test_a_device_matched_by_two_waves_is_in_the_first() -> None:
    waves = (Wave("a", selector=CANARIES), Wave("b", selector=Selector()))
    steps = assign_waves(replace(EVERYWHERE, waves=waves), [device(0), device(1, canary="yes")])
    assert [step.members for step in steps] == [("d001",), ("d000",)]


def test_the_order_never_changes_between_releases() -> None:
    # Written out on purpose: gateways of different releases must choose the same canaries.
    order = [each.name for each in stable_order(EVERYWHERE, TEN)]
    assert order == ["d007", "d006", "d008", "d003", "d001", "d005", "d002", "d000", "d009", "d004"]
    assert [each.name for each in stable_order(EVERYWHERE, reversed(TEN))] == order


def test_another_version_or_rollout_begins_with_other_devices() -> None:
    order = stable_order(EVERYWHERE, TEN)
    assert stable_order(replace(EVERYWHERE, model=V1), TEN) != order
    assert stable_order(replace(EVERYWHERE, name=RolloutId("another")), TEN) != order


def test_a_new_device_does_not_change_the_order_of_the_others() -> None:
    before = stable_order(EVERYWHERE, TEN)
    after = stable_order(EVERYWHERE, [*TEN, device(99)])
    assert [each for each in after if each in before] == before


@given(before=st.frozensets(st.integers(0, 60)), after=st.frozensets(st.integers(0, 60)), again=st.integers(0, 60))
def test_updating_the_order_equals_sorting_again(before: frozenset[int], after: frozenset[int], again: int) -> None:
    members = {device(number).name: device(number, hall="n") for number in after}
    changed = {device(again).name} & members.keys()
    moved = {device(number).name for number in before ^ after} | changed
    old = [device(number, hall="n") if device(number).name not in changed else device(number) for number in before]
    order = update_order(EVERYWHERE, stable_order(EVERYWHERE, old), moved, members)
    assert order == stable_order(EVERYWHERE, members.values())
