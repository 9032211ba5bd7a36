# SPDX-License-Identifier: Apache-2.0
"""Rollouts across gateways: budgets are never exceeded, nothing deadlocks, and what can converge does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model import FailureBudget, Hold, HoldReason, OnFailure, Wave
from reconciler.plan import plan
from reconciler.plan.rollout.waves import assign_waves, stable_order
from tests.plan.example_fleet import EVERYWHERE
from tests.plan.gateway_simulation import NAME, OLD, Fate, GatewaySimulation, SimulationSettings

SEEDS = 60


def check_end(simulation: GatewaySimulation) -> str:
    """Check that a rollout ended correctly; return its outcome."""
    lost = simulation.dead | simulation.failed
    stopped = any(gateway.memory[NAME].stopped for gateway in simulation.gateways if NAME in gateway.memory)
    if stopped:
        assert len(simulation.failed) > simulation.allowed
        for gateway in simulation.gateways:
            _check_stopped(simulation, gateway.name)
        return "stopped"
    assert len(simulation.failed) <= simulation.allowed
    so_far = 0
    for step in assign_waves(simulation.rollout, stable_order(simulation.rollout, simulation.desired.devices.values())):
        good = [name for name in step.members if name not in lost]
        so_far += len(step.members) - len(good)
        if step.members and (so_far > simulation.allowed or not good):
            return "stuck"  # too many do not report, or no device proves that the model works
        assert all(simulation.done(name) for name in good), step.name
    return "whole"


def _check_stopped(simulation: GatewaySimulation, name: str) -> None:
    gateway = next(gateway for gateway in simulation.gateways if gateway.name == name)
    back = simulation.rollout.on_failure is OnFailure.ROLL_BACK
    expected = HoldReason.ROLLED_BACK if back else HoldReason.BUDGET
    for action in gateway.actions:
        if action.device in gateway.devices and isinstance(action, Hold):
            assert action.reason is expected
    if back:
        alive = gateway.devices - simulation.dead
        assert all(gateway.seen[device].running == OLD for device in alive)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_rollout_across_gateways_keeps_its_budget_and_ends(seed: int) -> None:
    simulation = GatewaySimulation(
        seed, SimulationSettings(gateways=2 + seed % 4, devices=3 + seed % 5, faults=(0.0, 0.1, 0.4)[seed % 3])
    )
    assert simulation.run(), "it never ends"
    assert simulation.failed_beyond == 0
    check_end(simulation)
    for gateway in simulation.gateways:
        assert gateway.observed is not None
        assert plan(simulation.desired, gateway.observed, simulation.now) == gateway.planner.plan(
            simulation.desired, gateway.observed, simulation.now
        )


def test_the_simulation_reaches_every_kind_of_end() -> None:
    """Otherwise the test above would show less than it claims."""
    ends = {"whole": 0, "stopped": 0, "stuck": 0}
    for seed in range(SEEDS):
        simulation = GatewaySimulation(seed, SimulationSettings(gateways=3, devices=5, faults=0.15))
        simulation.run()
        ends[check_end(simulation)] += 1
    assert min(ends.values()) >= 3, ends


@pytest.mark.parametrize("seed", range(20))
def test_a_dishonest_peer_cannot_make_the_others_exceed_the_budget(seed: int) -> None:
    simulation = GatewaySimulation(seed, SimulationSettings(gateways=4, devices=5, faults=0.3, dishonest=1))
    assert simulation.run()
    assert simulation.failed_beyond == 0


def test_waves_name_the_gateway_that_they_wait_for() -> None:
    rollout = replace(EVERYWHERE, waves=(Wave("first", percent=50),), failure_budget=FailureBudget(1))
    simulation = GatewaySimulation(1, SimulationSettings(gateways=3, devices=6, faults=0.0, rollout=rollout, lost=1))
    assert simulation.run()
    lost = next(gateway for gateway in simulation.gateways if gateway.gone)
    for gateway in simulation.gateways:
        if gateway is not lost:
            waits = [
                action for action in gateway.actions if isinstance(action, Hold) and action.device in gateway.devices
            ]
            assert waits
            wave = [hold.why for hold in waits if hold.reason is HoldReason.WAVE]
            assert wave
            assert all(f"gateway {lost.name}, unchanged since 2026-11-21" in why for why in wave)


def test_fifty_gateways() -> None:
    """The short form; `make bench-rollout` has 200 devices at each gateway."""
    rollout = replace(
        EVERYWHERE,
        waves=(Wave("canary", count=5, soak_s=120), Wave("tenth", percent=10), Wave("half", percent=50)),
        failure_budget=FailureBudget(percent=15),
    )
    simulation = GatewaySimulation(7, SimulationSettings(gateways=50, devices=2, faults=0.05, rollout=rollout))
    assert simulation.run()
    assert simulation.failed_beyond == 0
    assert check_end(simulation) == "whole"
    assert set(simulation.fates.values()) > {Fate.GOOD}
