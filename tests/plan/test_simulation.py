# SPDX-License-Identifier: Apache-2.0
"""Rollouts that take time and go wrong: devices fail their trial, die during it, or were already dead."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Action, DeviceId, FailureBudget, Hold, Install, Observed, ObservedDevice, Phase, Wave
from reconciler.plan import Planner, plan
from reconciler.plan.rollout.progress import allowed_failures
from reconciler.plan.rollout.waves import assign_waves, stable_order
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet

ROLLOUTS = 150
TICK = timedelta(minutes=1)
QUIET_TICKS = 60  # longer than a silence and the longest soak
WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
ARTIFACTS = {(each.model, each.type): each for each in BUILT}
WAVES = (
    (),
    (Wave("canary", count=1, soak_s=600),),
    (Wave("canary", count=2, soak_s=600), Wave("third", percent=33, soak_s=1200), Wave("most", percent=90)),
    (Wave("few", percent=10), Wave("half", percent=50, soak_s=60)),
)
BUDGETS = (FailureBudget(0), FailureBudget(2), FailureBudget(percent=20), FailureBudget(percent=100))


class Plant:
    """A gateway with a few transfers at once, and devices that take time for each step."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.rollout = replace(EVERYWHERE, waves=self.dice.choice(WAVES), failure_budget=self.dice.choice(BUDGETS))
        self.desired = fleet([device(number) for number in range(self.dice.randint(1, 30))], [self.rollout])
        self.allowed = allowed_failures(self.rollout.failure_budget, len(self.desired.devices))
        self.transfers = self.dice.randint(1, 6)
        self.faults = self.dice.choice((0.0, 0.05, 0.3))
        self.now = NOW
        self.devices = dict.fromkeys(self.desired.devices, ObservedDevice(NOW, Phase.CONFIRMED, OLD))
        self.dead = {name for name in self.devices if self.dice.random() < self.faults / 4}
        self.failed: set[DeviceId] = set()
        self.begun: set[DeviceId] = set()
        self.silent_after = timedelta(seconds=self.desired.fleet.silent_after_s)

    def observed(self) -> Observed:
        return Observed(dict(self.devices), ARTIFACTS, frozenset((name, WANTED) for name in self.failed))

    def act(self, actions: tuple[Action, ...]) -> set[DeviceId]:
        """Begin as many transfers as the gateway may; return the devices that began for the first time."""
        busy = sum(each.phase is not Phase.CONFIRMED for name, each in self.devices.items() if name not in self.dead)
        wanted = [action.device for action in actions if isinstance(action, Install)]
        fresh = [name for name in wanted if self.devices[name].phase is Phase.CONFIRMED and name not in self.dead]
        chosen = set(fresh[: max(0, self.transfers - busy)])
        for name in chosen:
            self.devices[name] = replace(self.devices[name], phase=Phase.RECEIVING, incoming=WANTED)
        for name in wanted:  # a transfer continues only while the plan says so
            if self.devices[name].phase is Phase.RECEIVING and name not in self.dead and self.dice.random() < 0.3:
                self.devices[name] = replace(self.devices[name], phase=Phase.TRIAL, running=WANTED, incoming=None)
        new = chosen - self.begun
        self.begun |= chosen
        return new

    def pass_time(self) -> bool:
        """Let trials end, devices die, and the others report; return whether anything happened."""
        self.now += TICK
        happened = False
        for name, each in self.devices.items():
            if name in self.dead:
                continue
            after = each
            if each.phase is Phase.TRIAL and self.dice.random() < 0.3:
                after = self._end_trial(name, each)
            elif each.phase is not Phase.CONFIRMED and self.dice.random() < self.faults / 20:
                self.dead.add(name)
            happened = happened or after is not each or name in self.dead
            if name not in self.dead:
                self.devices[name] = replace(after, last_seen=self.now)
        return happened

    def _end_trial(self, name: DeviceId, each: ObservedDevice) -> ObservedDevice:
        if self.dice.random() < self.faults:
            self.failed.add(name)
            return replace(each, phase=Phase.CONFIRMED, running=OLD, previous_failed=WANTED)
        return replace(each, phase=Phase.CONFIRMED, confirmed_since=self.now, parameters={"threshold": 0.5})

    def known_failures(self) -> int:
        """Count the devices that failed, and those that fell silent with the model in transfer or on trial."""
        in_progress = [each for each in self.devices.values() if each.phase is not Phase.CONFIRMED]
        return len(self.failed) + sum(self.now >= each.last_seen + self.silent_after for each in in_progress)

    def is_done(self, name: DeviceId) -> bool:
        return self.devices[name].running == WANTED and self.devices[name].phase is Phase.CONFIRMED


def roll_out(plant: Plant) -> tuple[Action, ...]:
    """Run a rollout until nothing happens any more; check that no device begins once the budget is spent."""
    planner = Planner()
    quiet = 0
    while True:
        observed = plant.observed()
        actions = planner.plan(plant.desired, observed, plant.now)
        if quiet == QUIET_TICKS:
            assert actions == plan(plant.desired, observed, plant.now)
            return actions
        spent = plant.known_failures() > plant.allowed
        began = plant.act(actions)
        assert not (spent and began)
        quiet = 0 if plant.pass_time() or began else quiet + 1


@pytest.mark.parametrize("seed", range(ROLLOUTS))
def test_a_rollout_ends_complete_stopped_or_waiting_for_lost_devices(seed: int) -> None:
    plant = Plant(seed)
    actions = {action.device: action for action in roll_out(plant)}
    if plant.known_failures() > plant.allowed:
        left = [name for name in plant.devices if name not in plant.dead | plant.failed and not plant.is_done(name)]
        assert all(isinstance(actions[name], Hold) and "stopped" in actions[name].why for name in left)
        return
    lost = 0
    for step in assign_waves(plant.rollout, stable_order(plant.rollout, plant.desired.devices.values())):
        good = [name for name in step.members if name not in plant.dead | plant.failed]
        assert all(plant.is_done(name) for name in good)
        lost += len(step.members) - len(good)
        if step.members and (lost > plant.allowed or not good):
            break  # more are lost than the budget allows, or no device proves that the model works


def test_the_simulation_reaches_every_kind_of_end() -> None:
    """Otherwise the test above would show less than it claims."""
    ends = {"whole": 0, "stopped": 0, "stuck": 0, "whole despite losses": 0}
    for seed in range(ROLLOUTS):
        plant = Plant(seed)
        roll_out(plant)
        lost = plant.dead | plant.failed
        if plant.known_failures() > plant.allowed:
            ends["stopped"] += 1
        elif all(plant.is_done(name) for name in plant.devices if name not in lost):
            ends["whole despite losses" if lost else "whole"] += 1
        else:
            ends["stuck"] += 1
    assert min(ends.values()) >= 3, ends
