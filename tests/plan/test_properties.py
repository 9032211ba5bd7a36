# SPDX-License-Identifier: Apache-2.0
"""The promises of a plan, for any fleet: it converges, never exceeds a wave, and does not depend on order."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Blocked,
    BlockedReason,
    Configure,
    Desired,
    DeviceId,
    FailureBudget,
    Hold,
    HoldReason,
    Install,
    ObservedDevice,
    Phase,
    RolloutId,
    Wave,
)
from reconciler.plan import Planner, plan
from tests.plan.example_fleet import ESP32, EVERYWHERE, NOW, SILENT_AFTER_A_YEAR, V2, device, digest_of, fleet
from tests.plan.instant_fleet import InstantFleet
from tests.plan.strategies import budgets, fleets, waves

PASSES = 1000  # more than any of these small fleets needs
PATIENCE = timedelta(days=40)
CHANGES = Install | ActivatePrebaked | Configure
Key = TypeVar("Key")
Value = TypeVar("Value")


def passes(simulated: InstantFleet) -> Iterator[tuple[Action, ...]]:
    """Plan until nothing more can happen. The caller applies each plan, then time passes."""
    planner = Planner()
    for _ in range(PASSES):
        actions = planner.plan(simulated.desired, simulated.observed(), simulated.now)
        yield actions
        if any(isinstance(action, CHANGES) for action in actions):
            simulated.now += timedelta(seconds=1)
        elif planner.until is None or planner.until > NOW + PATIENCE:
            return
        else:
            simulated.now = planner.until
    raise AssertionError("the plan keeps changing devices")


@given(desired=fleets(may_suspend=False))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_plans_converge(desired: Desired) -> None:
    simulated = InstantFleet(desired)
    actions: tuple[Action, ...] = ()
    for actions in passes(simulated):
        simulated.apply(actions)
    held = [action for action in actions if isinstance(action, Hold)]
    # A device that is still held waits for a mistake in Git that only a person can correct, and its message says so.
    mistaken = {
        action.rollout
        for action in held
        if "no device that its selector matches" in action.why or "never open together" in action.why
    }
    for action in held:
        if action.rollout not in mistaken:
            assert action.reason is HoldReason.DEPENDS_ON
            assert any(_never_completes(actions, name) for name in desired.rollouts[action.rollout].depends_on)


def _never_completes(actions: tuple[Action, ...], name: RolloutId) -> bool:
    """Whether others rightly wait forever for this rollout: some of its devices are held or blocked."""
    return any(isinstance(action, Hold | Blocked) and action.rollout == name for action in actions)


@given(
    waved=waves(by_selector=False),
    count=st.integers(1, 25),
    broken=st.frozensets(st.integers(0, 24)),
    budget=budgets,
)
@settings(max_examples=200, deadline=None)
def test_no_wave_is_exceeded_and_a_spent_budget_stops(
    waved: tuple[Wave, ...], count: int, broken: frozenset[int], budget: FailureBudget
) -> None:
    rollout = replace(EVERYWHERE, waves=waved, failure_budget=budget)
    desired = fleet([device(number) for number in range(count)], [rollout], defaults=SILENT_AFTER_A_YEAR)
    simulated = InstantFleet(desired, broken=frozenset(device(number).name for number in broken))
    allowed = budget.count if budget.count is not None else math.floor((budget.percent or 0) * count / 100)
    touched: set[DeviceId] = set()
    for actions in passes(simulated):
        failed = len(simulated.quarantined)
        proven = [_proven(simulated, wave.soak_s) for wave in waved]
        touched |= simulated.apply(actions)
        # A wave begins only when the devices of all earlier waves have run the model for their soak times.
        reached = 0
        for wave, done in zip(waved, proven, strict=True):
            limit = wave.count if wave.count is not None else math.ceil(round((wave.percent or 0) * count / 100, 6))
            if limit > reached:  # a wave that adds no device does not wait
                assert len(touched) <= limit or done + failed >= limit
                reached = limit
        if failed > allowed:
            assert not any(isinstance(action, CHANGES) for action in actions)


def _proven(simulated: InstantFleet, soak_s: int) -> int:
    """Count the devices that have run the new model for that time."""
    wanted = digest_of(V2, ESP32.name)
    since = [each.confirmed_since for each in simulated.devices.values() if each.running == wanted]
    return sum(time is not None and simulated.now - time >= timedelta(seconds=soak_s) for time in since)


@given(desired=fleets(), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_plan_does_not_depend_on_the_order_of_its_input(desired: Desired, seed: int) -> None:
    simulated = InstantFleet(desired)
    simulated.apply(plan(desired, simulated.observed(), NOW))
    observed = simulated.observed()
    dice = random.Random(seed)
    mixed = replace(
        desired,
        devices=_mix(desired.devices, dice),
        rollouts=_mix(desired.rollouts, dice),
        gateways=_mix(desired.gateways, dice),
        types=_mix(desired.types, dice),
    )
    again = replace(observed, devices=_mix(observed.devices, dice), artifacts=_mix(observed.artifacts, dice))
    assert plan(mixed, again, NOW) == plan(desired, observed, NOW)
    assert Planner().plan(mixed, again, NOW) == plan(desired, observed, NOW)


def _mix(mapping: Mapping[Key, Value], dice: random.Random) -> dict[Key, Value]:
    items = list(mapping.items())
    dice.shuffle(items)
    return dict(items)


@given(desired=fleets())
@settings(max_examples=60, deadline=None)
def test_every_device_has_exactly_one_action_with_a_reason(desired: Desired) -> None:
    simulated = InstantFleet(desired)
    unknown = DeviceId("unknown")
    observed = replace(simulated.observed(), devices={**simulated.observed().devices, unknown: _any_report(simulated)})
    actions = plan(desired, observed, NOW)
    assert [action.device for action in actions] == sorted({*desired.devices, unknown})
    assert all(action.why for action in actions)
    assert next(action for action in actions if action.device == unknown) == Blocked(
        unknown, None, BlockedReason.UNKNOWN, "reports, but is not in Git"
    )


def _any_report(simulated: InstantFleet) -> ObservedDevice:
    return ObservedDevice(simulated.now, Phase.IDLE, None)
