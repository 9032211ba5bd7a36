# SPDX-License-Identifier: Apache-2.0
"""The progress of a rollout: open waves, soak times, and the failure budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.model import DeviceId, FailureBudget, NoChange
from reconciler.plan.device.verdict import DeviceVerdict, DueDevice, FailedDevice, MissingDevice, SettledDevice
from reconciler.plan.rollout.progress import RolloutProgress, allowed_failures, measure_progress
from reconciler.plan.rollout.waves import WaveStep
from tests.plan.example_fleet import EVERYWHERE, NOW


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


HOUR = timedelta(hours=1)


def settled(ago: timedelta | None = 2 * HOUR, *, silent: timedelta | None = None) -> DeviceVerdict:
    since = None if ago is None else NOW - ago
    return SettledDevice(_ACTION, since=since, silent_since=None if silent is None else NOW - silent)


_ACTION = NoChange(DeviceId("d"), "")
DUE, FAILED, MISSING = DueDevice(_ACTION), FailedDevice(_ACTION), MissingDevice(_ACTION)


def progress(
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
    return measure_progress(replace(EVERYWHERE, failure_budget=FailureBudget(count=allowed)), steps, verdicts, now)


def test_the_first_wave_is_open_from_the_start() -> None:
    assert progress([DUE, DUE]).opened == 1


def test_a_wave_opens_when_the_one_before_has_soaked() -> None:
    assert progress([settled(), settled()]).opened == 2
    waiting = progress([settled(), settled(HOUR - timedelta(seconds=1))])
    assert (waiting.opened, waiting.until) == (1, NOW + timedelta(seconds=1))
    assert waiting.waiting == "wave 1 (canary): 1 of 2 devices done, 1 soaking until 2026-11-21 12:00:01 UTC"
    assert progress([settled(), settled(HOUR)]).opened == 2


def test_without_a_soak_time_confirmation_is_enough() -> None:
    assert progress([settled(timedelta(0))], soak=timedelta(0)).opened == 2
    assert progress([settled(None)], soak=timedelta(0)).opened == 2


def test_a_wave_never_opens_on_missing_evidence() -> None:
    assert progress([settled(), settled(None)]).opened == 1  # the start of the soak time is unknown
    assert progress([settled(), MISSING]).opened == 1
    assert progress([MISSING], allowed=5).opened == 1  # the budget allows it, but no device proves that the model works
    assert progress([FAILED], allowed=5).opened == 1


def test_a_wave_is_over_if_the_budget_allows_its_losses() -> None:
    assert progress([settled(), MISSING], allowed=1).opened == 2
    assert progress([settled(), FAILED], allowed=1).opened == 2
    assert progress([settled(), FAILED, MISSING], allowed=1).opened == 1


def test_a_spent_budget_stops() -> None:
    assert progress([settled(), FAILED], allowed=1).stopped == ""
    assert progress([settled(), FAILED, FAILED], allowed=1).stopped == "stopped: 2 failed, 1 allowed"
    assert progress([settled()], [FAILED]).stopped == "stopped: 1 failed, 0 allowed"
    assert progress([settled(), MISSING, MISSING]).stopped == ""  # silence alone is not a failure


def test_a_device_that_falls_silent_before_it_soaked_has_failed() -> None:
    assert progress([settled(3 * HOUR, silent=HOUR)]).opened == 2
    early = progress([settled(), settled(3 * HOUR, silent=timedelta(minutes=150))])
    assert (early.opened, early.stopped) == (1, "stopped: 1 failed, 0 allowed")


def test_a_rollout_is_complete_when_all_its_waves_are() -> None:
    assert progress([settled()], [settled(timedelta(0))]).complete
    assert not progress([settled()], [DUE]).complete


def test_an_empty_wave_is_over_unless_it_has_a_selector() -> None:
    def opened(*, by_selector: bool) -> int:
        steps = (WaveStep("none", (), by_selector=by_selector), WaveStep("rest", (DeviceId("d0"),)))
        return measure_progress(EVERYWHERE, steps, {DeviceId("d0"): DUE}, NOW).opened

    assert opened(by_selector=False) == 2
    assert opened(by_selector=True) == 1


def test_a_last_wave_without_devices_does_not_delay_completion() -> None:
    steps = (WaveStep("all", (DeviceId("d0"),)), WaveStep("none", (), by_selector=True))
    assert measure_progress(EVERYWHERE, steps, {DeviceId("d0"): settled()}, NOW).complete
    assert not measure_progress(EVERYWHERE, steps, {DeviceId("d0"): DUE}, NOW).complete


def test_a_rollout_that_was_stopped_stays_stopped() -> None:
    steps = (WaveStep("all", (DeviceId("d0"),)),)
    found = measure_progress(EVERYWHERE, steps, {DeviceId("d0"): settled()}, NOW, stopped_before="it was stopped")
    assert found.stopped == "it was stopped"


def test_progress_holds_until_the_first_device_of_any_wave_has_soaked() -> None:
    steps = (WaveStep("a", (DeviceId("d0"),), 3 * HOUR), WaveStep("b", (DeviceId("d1"),), 4 * HOUR))
    verdicts = {DeviceId("d0"): settled(2 * HOUR), DeviceId("d1"): settled(2 * HOUR)}
    assert measure_progress(EVERYWHERE, steps, verdicts, NOW).until == NOW + HOUR
