# SPDX-License-Identifier: Apache-2.0
"""A fleet whose rollout has a health gate and rolls back when its failure budget is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from reconciler.model import (
    Action,
    Counts,
    Desired,
    DeviceHealth,
    FailureBudget,
    HealthGate,
    HealthMetric,
    ObservedDevice,
    OnFailure,
    Scores,
)
from reconciler.plan import plan
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet, observe, seen

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
CALM = Counts(1000, 10, 0, 0, 100.0, Scores(100, 0, 100, 50.0, (50, 50, 0, 0, 0, 0, 0, 0)))
NO_FAULTS = HealthGate(HealthMetric.FAULTS, at_most=0, min_inferences=500)
ROLL_BACK = replace(EVERYWHERE, gates=(NO_FAULTS,), on_failure=OnFailure.ROLL_BACK, failure_budget=FailureBudget(1))


def settled(faults: int = 0, **more: object) -> ObservedDevice:
    health = DeviceHealth(Counts(600, 0, faults, 0))
    parameters = {"threshold": 0.5}
    since = NOW - timedelta(hours=1)
    return seen(WANTED, parameters=parameters, health=health, confirmed_since=since, other_slot=OLD, **more)


def desired_of(count: int = 3, **changed: object) -> Desired:
    return fleet([device(number, line=f"l{number % 2}") for number in range(count)], [replace(ROLL_BACK, **changed)])  # type: ignore[arg-type]


def by_device(desired: Desired, devices: dict[str, ObservedDevice], **more: object) -> Mapping[str, Action]:
    observed = replace(observe(devices, *BUILT), **more)  # type: ignore[arg-type]
    return {str(action.device): action for action in plan(desired, observed, NOW)}
