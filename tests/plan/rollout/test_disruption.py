# SPDX-License-Identifier: Apache-2.0
"""The disruption budget: devices at risk at once, and devices of a group that stay available."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    DeviceId,
    FailureBudget,
    Hold,
    HoldReason,
    Install,
    MinAvailable,
    NoChange,
    Rollout,
)
from reconciler.plan.device.verdict import DeviceVerdict, DueDevice, FailedDevice, MissingDevice, SettledDevice
from reconciler.plan.rollout.disruption import disruption_holds
from reconciler.plan.rollout.progress import measure_progress
from reconciler.plan.rollout.waves import WaveStep
from tests.plan.example_fleet import EVERYWHERE, NOW, device, seen
from tests.plan.gated_fleet import OLD, by_device, desired_of


def test_no_more_devices_are_at_risk_than_the_budget_allows() -> None:
    desired = desired_of(9, gates=(), failure_budget=FailureBudget(2))
    devices = {f"d{number:03}": seen(OLD) for number in range(9)}
    actions = by_device(desired, devices)
    assert sum(isinstance(action, Install) for action in actions.values()) == 3
    assert {a.reason for a in actions.values() if isinstance(a, Hold)} == {HoldReason.AT_RISK}
    loose = by_device(desired_of(9, gates=(), failure_budget=FailureBudget(2), max_at_risk=5), devices)
    assert sum(isinstance(action, Install) for action in loose.values()) == 5
    free = by_device(desired_of(9, gates=(), failure_budget=FailureBudget()), devices)
    assert sum(isinstance(action, Install) for action in free.values()) == 9


@pytest.mark.parametrize(
    "rule",
    [
        MinAvailable("line", count=3),
        MinAvailable("line", percent=75),
        MinAvailable("line", percent=60),  # of four: 2.4, rounded up to three
    ],
)
def test_enough_devices_of_a_group_stay_available(rule: MinAvailable) -> None:
    desired = desired_of(8, gates=(), failure_budget=FailureBudget(), min_available=(rule,))
    devices = {f"d{number:03}": seen(OLD) for number in range(8)}
    actions = by_device(desired, devices)
    begun = [name for name, action in actions.items() if isinstance(action, Install)]
    assert sorted(int(name[1:]) % 2 for name in begun) == [0, 1]
    devices["d000"] = replace(devices["d000"], last_seen=NOW - timedelta(hours=1))  # already silent
    actions = by_device(desired, devices)
    assert [int(name[1:]) % 2 for name, action in actions.items() if isinstance(action, Install)] == [1]


ACTION = NoChange(DeviceId("d"), "")
DUE = DueDevice(ACTION)


def held(rollout: Rollout, *verdicts: DeviceVerdict, labelled: int = 99, stopped: str = "") -> list[int]:
    """Return which of the devices must not begin yet, by their place; the first `labelled` of them are one group."""
    devices = [replace(device(at), labels={"line": "a"} if at < labelled else {}) for at in range(len(verdicts))]
    by_name = dict(zip((each.name for each in devices), verdicts, strict=True))
    progress = measure_progress(rollout, (WaveStep("all", tuple(by_name)),), by_name, NOW, stopped)
    found = disruption_holds(rollout, devices, by_name, progress)
    return [at for at, each in enumerate(devices) if each.name in found]


def test_a_budget_of_a_percentage_limits_the_devices_at_risk_too() -> None:
    rollout = replace(EVERYWHERE, failure_budget=FailureBudget(percent=25))
    assert held(rollout, DUE, DUE, DUE, DUE) == [2, 3]
    assert held(rollout, DueDevice(ACTION, begun=True), DUE, DUE, DUE) == [2, 3]
    assert held(rollout, FailedDevice(ACTION), DUE, DUE, DUE) == [2, 3]
    assert held(rollout, DUE, DUE) == [1]


def test_a_rollout_that_stopped_or_is_complete_holds_nothing_for_its_budget() -> None:
    rollout = replace(EVERYWHERE, failure_budget=FailureBudget(0))
    assert held(rollout, DUE, DUE) == [1]
    assert held(rollout, DUE, DUE, stopped="stopped: 1 failed, 0 allowed") == []
    everyone = replace(rollout, min_available=(MinAvailable("line", count=9),))
    assert held(everyone, DUE) == [0]
    assert held(everyone, SettledDevice(ACTION)) == []


def test_a_device_that_does_not_report_keeps_its_turn_only_among_several_gateways() -> None:
    rollout = replace(EVERYWHERE, failure_budget=FailureBudget(0))
    assert held(rollout, MissingDevice(ACTION), DUE) == []
    assert held(rollout, MissingDevice(ACTION), DUE, DueDevice(ACTION, peer="gateway north")) == [1, 2]


def test_only_devices_of_a_group_are_held_for_it_and_those_away_are_counted_once() -> None:
    rollout = replace(EVERYWHERE, min_available=(MinAvailable("line", count=2),))
    assert held(rollout, DUE, DUE, DUE, DUE) == [2, 3]
    assert held(rollout, DUE, DUE, DUE, DUE, labelled=3) == [1, 2]
    assert held(rollout, DueDevice(ACTION, away=True), DUE, DUE, DUE) == [2, 3]
    assert held(rollout, DueDevice(ACTION, away=True), DueDevice(ACTION, away=True), DUE, DUE) == [2, 3]
