# SPDX-License-Identifier: Apache-2.0
"""Devices that fall silent and come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.model import (
    Hold,
    HoldReason,
    Install,
    Phase,
)
from tests.plan.example_fleet import NOW, seen
from tests.plan.gated_fleet import OLD, WANTED, by_device, desired_of


def test_a_device_that_flaps_is_paused_longer_each_time() -> None:
    desired = desired_of(1, gates=())
    came_back = NOW - timedelta(minutes=20)
    twice = seen(OLD, flaps=2, flapped_at=came_back)
    assert isinstance(by_device(desired, {"d000": twice})["d000"], Install)
    thrice = by_device(desired, {"d000": replace(twice, flaps=3)})["d000"]
    assert isinstance(thrice, Hold)
    assert thrice.reason is HoldReason.FLAPPING
    assert "12:10 UTC" in thrice.why
    begun = replace(twice, flaps=9, phase=Phase.RECEIVING, incoming=WANTED)
    assert isinstance(by_device(desired, {"d000": begun})["d000"], Install)
