# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import DeviceId, FailureBudget, NoChange, RolloutId, Selector, Wave
from reconciler.plan.device.verdict import DeviceStanding, DeviceVerdict
from reconciler.plan.rollout.progress import RolloutProgress, allowed_failures, survey
from reconciler.plan.rollout.waves import WaveStep, arrange, reordered, stable_order
from tests.plan.fleets import EVERYWHERE, NOW, V1, device

TEN = [device(number) for number in range(10)]
CANARIES = Selector(match_labels={"canary": "yes"})


def sizes(waves: Sequence[Wave], count: int = 10) -> list[tuple[str, int]]:
    steps = arrange(replace(EVERYWHERE, waves=tuple(waves)), [device(number) for number in range(count)])
    return [(step.name, len(step.members)) for step in steps]


def test_without_waves_all_go_at_once() -> None:
    assert sizes(()) == [("all", 10)]
    assert sizes((), count=0) == []


def test_counts_and_shares_include_the_waves_before_and_the_rest_comes_last() -> None:
    assert sizes([Wave("a", count=2), Wave("b", percent=50)]) == [("a", 2), ("b", 3), ("rest", 5)]


def test_a_share_is_rounded_up_and_no_wave_takes_more_than_there_is() -> None:
    assert sizes([Wave("a", percent=1.1)], count=1000) == [("a", 11), ("rest", 989)]
    assert sizes([Wave("a", percent=1), Wave("b", count=50)]) == [("a", 1), ("b", 9)]
    assert sizes([Wave("a", count=5), Wave("b", percent=20), Wave("c", percent=100)]) == [("a", 5), ("b", 0), ("c", 5)]


def test_devices_that_selectors_name_are_dealt_first() -> None:
    fleet = [*TEN[:8], device(8, canary="yes"), device(9, canary="yes")]
    waves = (Wave("a", count=3), Wave("named", selector=CANARIES), Wave("half", percent=60))
    steps = arrange(replace(EVERYWHERE, waves=waves), fleet)
    assert [len(step.members) for step in steps] == [3, 2, 1, 4]
    assert steps[1].members == ("d008", "d009")


def test_of_two_selectors_the_first_wave_has_a_device() -> None:
    waves = (Wave("a", selector=CANARIES), Wave("b", selector=Selector()))
    steps = arrange(replace(EVERYWHERE, waves=waves), [device(0), device(1, canary="yes")])
    assert [step.members for step in steps] == [("d001",), ("d000",)]


def test_the_order_is_the_same_everywhere() -> None:
    # Spelled out on purpose: gateways of different versions must choose the same canaries.
    order = [each.name for each in stable_order(EVERYWHERE, TEN)]
    assert order == ["d007", "d006", "d008", "d003", "d001", "d005", "d002", "d000", "d009", "d004"]
    assert [each.name for each in stable_order(EVERYWHERE, reversed(TEN))] == order


def test_another_version_or_rollout_begins_with_other_devices() -> None:
    order = stable_order(EVERYWHERE, TEN)
    assert stable_order(replace(EVERYWHERE, model=V1), TEN) != order
    assert stable_order(replace(EVERYWHERE, name=RolloutId("another")), TEN) != order


def test_more_devices_keep_the_order_of_those_that_were_there() -> None:
    before = stable_order(EVERYWHERE, TEN)
    after = stable_order(EVERYWHERE, [*TEN, device(99)])
    assert [each for each in after if each in before] == before


@given(before=st.frozensets(st.integers(0, 60)), after=st.frozensets(st.integers(0, 60)), again=st.integers(0, 60))
def test_putting_a_few_into_their_places_is_sorting_anew(
    before: frozenset[int], after: frozenset[int], again: int
) -> None:
    members = {device(number).name: device(number, hall="n") for number in after}
    changed = {device(again).name} & members.keys()
    moved = {device(number).name for number in before ^ after} | changed
    old = [device(number, hall="n") if device(number).name not in changed else device(number) for number in before]
    order = reordered(EVERYWHERE, stable_order(EVERYWHERE, old), moved, members)
    assert order == stable_order(EVERYWHERE, members.values())


@pytest.mark.parametrize(
    ("budget", "total", "allowed"),
    [
        (FailureBudget(count=3), 10, 3),
        (FailureBudget(percent=10), 19, 1),
        (FailureBudget(percent=10), 20, 2),
        (FailureBudget(percent=2.3), 1000, 23),
        (FailureBudget(count=3, percent=10), 10, 1),
        (FailureBudget(), 10, 0),
    ],
)
def test_a_budget_counts_failures(budget: FailureBudget, total: int, allowed: int) -> None:
    assert allowed_failures(budget, total) == allowed


# ---------------------------------------------------------------- progress

HOUR = timedelta(hours=1)


def settled(ago: timedelta | None = 2 * HOUR, *, lost: timedelta | None = None) -> DeviceVerdict:
    since = None if ago is None else NOW - ago
    return DeviceVerdict(_ACTION, DeviceStanding.SETTLED, since=since, lost_at=None if lost is None else NOW - lost)


def standing(what: DeviceStanding) -> DeviceVerdict:
    return DeviceVerdict(_ACTION, what)


_ACTION = NoChange(DeviceId("d"), "")
DUE, FAILED, MISSING = map(standing, (DeviceStanding.DUE, DeviceStanding.FAILED, DeviceStanding.MISSING))


def look(
    canaries: Sequence[DeviceVerdict],
    others: Sequence[DeviceVerdict] = (DUE,),
    *,
    soak: timedelta = HOUR,
    allowed: int = 0,
    now: datetime = NOW,
) -> RolloutProgress:
    names = [DeviceId(f"d{number}") for number in range(len(canaries) + len(others))]
    cut = len(canaries)
    steps = (WaveStep("canary", tuple(names[:cut]), soak), WaveStep("rest", tuple(names[cut:])))
    verdicts = dict(zip(names, [*canaries, *others], strict=True))
    return survey(replace(EVERYWHERE, budget=FailureBudget(count=allowed)), steps, verdicts, now)


def test_the_first_wave_is_open_from_the_start() -> None:
    assert look([DUE, DUE]).opened == 1


def test_a_wave_opens_when_the_one_before_has_soaked() -> None:
    assert look([settled(), settled()]).opened == 2
    waits = look([settled(), settled(HOUR - timedelta(seconds=1))])
    assert (waits.opened, waits.until) == (1, NOW + timedelta(seconds=1))
    assert waits.waiting == "wave 1 (canary): 1 of 2 are done, 1 soaking until 2026-11-21 12:00:01 UTC"
    assert look([settled(), settled(HOUR)]).opened == 2


def test_without_soaking_confirmation_is_enough() -> None:
    assert look([settled(timedelta(0))], soak=timedelta(0)).opened == 2
    assert look([settled(None)], soak=timedelta(0)).opened == 2


def test_a_wave_never_opens_on_missing_evidence() -> None:
    assert look([settled(), settled(None)]).opened == 1  # nobody knows since when
    assert look([settled(), MISSING]).opened == 1
    assert look([MISSING], allowed=5).opened == 1  # tolerable, and yet nobody showed that the model works
    assert look([FAILED], allowed=5).opened == 1


def test_a_budget_tolerates_so_many_lost_devices() -> None:
    assert look([settled(), MISSING], allowed=1).opened == 2
    assert look([settled(), FAILED], allowed=1).opened == 2
    assert look([settled(), FAILED, MISSING], allowed=1).opened == 1


def test_a_spent_budget_stops() -> None:
    assert look([settled(), FAILED], allowed=1).stopped == ""
    assert look([settled(), FAILED, FAILED], allowed=1).stopped == "stopped: 2 failed, 1 allowed"
    assert look([settled()], [FAILED]).stopped == "stopped: 1 failed, 0 allowed"
    assert look([settled(), MISSING, MISSING]).stopped == ""  # silence alone is no failure


def test_who_fell_silent_while_soaking_failed_and_who_had_soaked_did_not() -> None:
    assert look([settled(3 * HOUR, lost=HOUR)]).opened == 2
    early = look([settled(), settled(3 * HOUR, lost=timedelta(minutes=150))])
    assert (early.opened, early.stopped) == (1, "stopped: 1 failed, 0 allowed")


def test_a_rollout_is_complete_when_all_its_waves_are() -> None:
    assert look([settled()], [settled(timedelta(0))]).complete
    assert not look([settled()], [DUE]).complete


def test_a_wave_that_adds_no_device_is_over_unless_a_selector_asked_for_some() -> None:
    def opened(*, by_selector: bool) -> int:
        steps = (WaveStep("none", (), by_selector=by_selector), WaveStep("rest", (DeviceId("d0"),)))
        return survey(EVERYWHERE, steps, {DeviceId("d0"): DUE}, NOW).opened

    assert opened(by_selector=False) == 2
    assert opened(by_selector=True) == 1


def test_a_last_wave_without_devices_keeps_nobody_waiting() -> None:
    steps = (WaveStep("all", (DeviceId("d0"),)), WaveStep("none", (), by_selector=True))
    assert survey(EVERYWHERE, steps, {DeviceId("d0"): settled()}, NOW).complete
    assert not survey(EVERYWHERE, steps, {DeviceId("d0"): DUE}, NOW).complete
