# SPDX-License-Identifier: Apache-2.0
"""The disruption budget: devices at risk at once, and devices of a group that stay available."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    FailureBudget,
    Hold,
    HoldReason,
    Install,
    MinAvailable,
)
from tests.plan.example_fleet import NOW, seen
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
