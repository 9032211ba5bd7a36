# SPDX-License-Identifier: Apache-2.0
"""Waves that span gateways: budgets are never exceeded, nothing deadlocks, and what can converge does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import FailureBudget, Hold, HoldReason, OnFailure, Wave
from reconciler.plan import plan
from reconciler.plan.rollout.waves import arrange, stable_order
from tests.plan.fabric import NAME, OLD, Fabric, Fate, Setting
from tests.plan.fleets import EVERYWHERE

SEEDS = 60


def check_end(fabric: Fabric) -> str:
    """See that a rollout ended as it must; say how."""
    lost = fabric.dead | fabric.failed
    stopped = any(site.memory[NAME].stopped for site in fabric.sites if NAME in site.memory)
    if stopped:
        assert len(fabric.failed) > fabric.allowed
        for site in fabric.sites:
            _check_stopped(fabric, site.name)
        return "stopped"
    assert len(fabric.failed) <= fabric.allowed
    so_far = 0
    for step in arrange(fabric.rollout, stable_order(fabric.rollout, fabric.desired.devices.values())):
        good = [name for name in step.members if name not in lost]
        so_far += len(step.members) - len(good)
        if step.members and (so_far > fabric.allowed or not good):
            return "stuck"  # too many don't report, or nobody shows that it works
        assert all(fabric.done(name) for name in good), step.name
    return "whole"


def _check_stopped(fabric: Fabric, name: str) -> None:
    site = next(site for site in fabric.sites if site.name == name)
    back = fabric.rollout.on_failure is OnFailure.ROLL_BACK
    expected = HoldReason.ROLLED_BACK if back else HoldReason.BUDGET
    for action in site.actions:
        if action.device in site.devices and isinstance(action, Hold):
            assert action.reason is expected
    if back:
        alive = site.devices - fabric.dead
        assert all(site.seen[device].running == OLD for device in alive)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_rollout_over_gateways_keeps_its_budget_and_ends(seed: int) -> None:
    fabric = Fabric(seed, Setting(gateways=2 + seed % 4, devices=3 + seed % 5, faults=(0.0, 0.1, 0.4)[seed % 3]))
    assert fabric.run(), "it goes on for ever"
    assert fabric.failed_beyond == 0
    check_end(fabric)
    for site in fabric.sites:
        assert site.observed is not None
        assert plan(fabric.desired, site.observed, fabric.now) == site.planner.plan(
            fabric.desired, site.observed, fabric.now
        )


def test_the_fabric_has_all_kinds_of_ends() -> None:
    """Otherwise the test above would show less than it says."""
    ends = {"whole": 0, "stopped": 0, "stuck": 0}
    for seed in range(SEEDS):
        fabric = Fabric(seed, Setting(gateways=3, devices=5, faults=0.15))
        fabric.run()
        ends[check_end(fabric)] += 1
    assert min(ends.values()) >= 3, ends


@pytest.mark.parametrize("seed", range(20))
def test_a_lying_gateway_can_not_make_the_others_exceed_the_budget(seed: int) -> None:
    fabric = Fabric(seed, Setting(gateways=4, devices=5, faults=0.3, liars=1))
    assert fabric.run()
    assert fabric.failed_beyond == 0


def test_a_gateway_that_disappears_is_waited_for_by_name() -> None:
    rollout = replace(EVERYWHERE, waves=(Wave("first", percent=50),), budget=FailureBudget(1))
    fabric = Fabric(1, Setting(gateways=3, devices=6, faults=0.0, rollout=rollout, lost=1))
    assert fabric.run()
    lost = next(site for site in fabric.sites if site.gone)
    for site in fabric.sites:
        if site is not lost:
            waits = [action for action in site.actions if isinstance(action, Hold) and action.device in site.devices]
            assert waits
            wave = [hold.why for hold in waits if hold.reason is HoldReason.WAVE]
            assert wave
            assert all(f"gateway {lost.name}, no news since 2026-11-21" in why for why in wave)


def test_fifty_gateways() -> None:
    """The short form; `make bench-rollout` has 200 devices at each."""
    rollout = replace(
        EVERYWHERE,
        waves=(Wave("canary", count=5, soak_s=120), Wave("tenth", percent=10), Wave("half", percent=50)),
        budget=FailureBudget(percent=15),
    )
    fabric = Fabric(7, Setting(gateways=50, devices=2, faults=0.05, rollout=rollout))
    assert fabric.run()
    assert fabric.failed_beyond == 0
    assert check_end(fabric) == "whole"
    assert set(fabric.fates.values()) > {Fate.GOOD}
