# SPDX-License-Identifier: Apache-2.0
"""A budget fills with time, can be overdrawn once, and holds no more than it may save up."""

from __future__ import annotations

import pytest

from reconciler.engine.samples.link_budget import SAVED_S, LinkBudget, device_budget, line_budget
from reconciler.model import SampleCollection


def test_it_fills_with_time_and_not_beyond() -> None:
    budget = LinkBudget(10.0, 100, 0.0)
    budget.spend(130, 0.0)
    assert budget.left(0.0) == -30
    assert budget.wait_s(60, 0.0) == 9.0
    assert budget.left(9.0) == 60
    assert budget.wait_s(60, 9.0) == 0.0
    assert budget.left(1000.0) == 100


def test_more_than_it_can_hold_is_waited_for_only_until_it_is_full() -> None:
    budget = LinkBudget(10.0, 100, 0.0)
    budget.spend(50, 0.0)
    assert budget.wait_s(10_000, 0.0) == 5.0


@pytest.mark.parametrize(("share", "baud"), [(15.0, 2400), (50.0, 9600)])
def test_a_line_has_a_share_of_its_time(share: float, baud: int) -> None:
    budget = line_budget(SampleCollection(line_share=share), baud, 0.0)
    full = budget.left(0.0)
    assert full == int(baud / 10 * share / 100 * SAVED_S)
    budget.spend(full, 0.0)
    assert budget.left(60.0) == pytest.approx(baud / 10 * share / 100 * 60, abs=1)


def test_a_device_behind_a_broker_has_bytes_per_hour() -> None:
    budget = device_budget(SampleCollection(bytes_per_hour=3600), 0.0)
    assert budget.left(0.0) == 3600
    budget.spend(3600, 0.0)
    assert budget.left(60.0) == 60
