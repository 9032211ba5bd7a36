# SPDX-License-Identifier: Apache-2.0
"""Health gates, the way back, places and groups: each rule alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import Action, ActivatePrebaked, Before, Blocked, BlockedReason, Configure, Counts, Desired, DeviceHealth, FailureBudget, HealthGate, HealthMetric, Hold, HoldReason, Install, MinAvailable, NoChange, ObservedDevice, OnFailure, Origin, Phase, RolloutMemory, Scores, Wave
from reconciler.plan import detailed_plan, plan, remember
from reconciler.plan.device.gates import PASSED, GateResult, evaluate_gates
from reconciler.plan.revision import revision_of
from tests.plan.fleets import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet, observe, seen, told

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
CALM = Counts(1000, 10, 0, 0, 100.0, Scores(100, 0, 100, 50.0, (50, 50, 0, 0, 0, 0, 0, 0)))
NO_FAULTS = HealthGate(HealthMetric.FAULTS, at_most=0, over_inferences=500)


def gate(metric: HealthMetric, at_most: float | None = None, at_least: float | None = None) -> HealthGate:
    return HealthGate(metric, at_least=at_least, at_most=at_most)


@pytest.mark.parametrize(
    ("found", "passes", "fails"),
    [
        (replace(CALM, faults=2), gate(HealthMetric.FAULTS, 2), gate(HealthMetric.FAULTS, 1)),
        (replace(CALM, resets=2), gate(HealthMetric.RESETS, 2), gate(HealthMetric.RESETS, 1)),
        (replace(CALM, anomalies=50), gate(HealthMetric.ANOMALY_RATE, 0.05), gate(HealthMetric.ANOMALY_RATE, 0.04)),
        (
            replace(CALM, anomalies=50),
            gate(HealthMetric.ANOMALY_RATE_CHANGE, 0.05),
            gate(HealthMetric.ANOMALY_RATE_CHANGE, 0.03),
        ),
        (
            replace(CALM, seconds=200.0),
            gate(HealthMetric.INFERENCE_RATE_RATIO, at_least=0.5),
            gate(HealthMetric.INFERENCE_RATE_RATIO, at_least=0.6),
        ),
        (
            replace(CALM, scores=Scores(10, 0, 90, 80.0, (0, 5, 5, 0, 0, 0, 0, 0))),
            gate(HealthMetric.SCORE_DISTANCE, 0.5),
            gate(HealthMetric.SCORE_DISTANCE, 0.4),
        ),
        (
            replace(CALM, scores=Scores(10, 0, 90, 80.0, (0, 5, 5, 0, 0, 0, 0, 0))),
            gate(HealthMetric.SCORE_MEAN_SHIFT, 0.3),
            gate(HealthMetric.SCORE_MEAN_SHIFT, 0.2),
        ),
    ],
)
def test_each_metric_is_measured(found: Counts, passes: HealthGate, fails: HealthGate) -> None:
    assert evaluate_gates((passes,), DeviceHealth(found, CALM)) == PASSED
    assert evaluate_gates((passes, fails), DeviceHealth(found, CALM)).failed.startswith(fails.metric.value)


@pytest.mark.parametrize("metric", [m for m in HealthMetric if "change" in m or "ratio" in m or m.startswith("score")])
def test_a_comparison_without_anything_to_compare_with_is_not_passed(metric: HealthMetric) -> None:
    assert evaluate_gates((gate(metric, 1e9, -1e9),), DeviceHealth(CALM)) == GateResult(
        awaits=f"{metric.value} has nothing to go by"
    )


@pytest.mark.parametrize("histogram", [(10, 0, 0, 0), (0,) * 8], ids=["other bins", "nothing in it"])
def test_histograms_that_can_not_be_compared_pass_nothing(histogram: tuple[int, ...]) -> None:
    odd = replace(CALM, scores=Scores(10, 0, 100, 50.0, histogram))
    waits = GateResult(awaits="score-distance has nothing to go by")
    assert evaluate_gates((gate(HealthMetric.SCORE_DISTANCE, 1.0),), DeviceHealth(odd, CALM)) == waits
    assert evaluate_gates((gate(HealthMetric.SCORE_DISTANCE, 1.0),), DeviceHealth(CALM, odd)) == waits


def test_too_many_faults_fail_before_the_count_is_reached_and_few_pass_only_then() -> None:
    few, many = replace(CALM, inferences=499), replace(CALM, inferences=3, faults=1)
    assert evaluate_gates((NO_FAULTS,), DeviceHealth(few)).awaits
    assert evaluate_gates((NO_FAULTS,), DeviceHealth(many)).failed == "faults is 1, at most 0 passes"
    assert evaluate_gates((NO_FAULTS,), DeviceHealth(replace(few, inferences=500))) == PASSED
    assert evaluate_gates((NO_FAULTS,), None).awaits


# ------------------------------------------------------------ in a plan

ROLL_BACK = replace(EVERYWHERE, gates=(NO_FAULTS,), on_failure=OnFailure.ROLL_BACK, budget=FailureBudget(1))


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


def test_a_device_whose_gate_fails_goes_back_alone_and_one_that_only_stops_stays() -> None:
    devices = {"d000": settled(faults=1), "d001": settled(), "d002": seen(OLD)}
    actions = by_device(desired_of(), devices)
    assert isinstance(actions["d000"], Install)
    assert (actions["d000"].model, actions["d000"].origin) == (V1, Origin.OTHER_SLOT)
    assert isinstance(actions["d001"], NoChange)
    assert isinstance(actions["d002"], Install)
    stays = by_device(desired_of(on_failure=OnFailure.STOP), devices)["d000"]
    assert isinstance(stays, Blocked)
    assert stays.reason is BlockedReason.GATE
    assert "faults is 1, at most 0 passes" in stays.why


def test_a_spent_budget_takes_all_back_by_the_cheapest_way_and_stays_spent() -> None:
    desired = desired_of(5)
    current = revision_of(desired, EVERYWHERE.name)
    before = Before(current, OLD, {"threshold": 0.4})
    emptied = replace(settled(faults=1), other_slot=None)
    devices = {
        "d000": settled(faults=1),
        "d001": settled(faults=1),
        "d002": settled(before=before),
        "d003": replace(emptied, health=DeviceHealth(CALM), before=before),
        "d004": seen(OLD, parameters={"threshold": 0.5}, before=before),
    }
    observed = observe(devices, *BUILT)
    found = detailed_plan(desired, observed, NOW)
    actions: Mapping[str, Action] = {str(action.device): action for action in found.actions}
    assert isinstance(actions["d002"], Install)
    assert actions["d002"].origin is Origin.OTHER_SLOT
    assert actions["d002"].parameters == {"threshold": 0.4}
    assert isinstance(actions["d003"], Install)
    assert actions["d003"].origin is Origin.ARTIFACT
    assert actions["d004"] == Configure(
        actions["d004"].device, EVERYWHERE.name, {"threshold": 0.4}, "goes back to the parameters that it had"
    )
    # All are healthy again, and the rollout stays stopped: only another revision begins anew.
    memory = remember(observed, found.courses, NOW)
    back = {f"d{number:03}": seen(OLD, parameters={"threshold": 0.4}, before=before) for number in range(5)}
    held = by_device(desired, back, rollouts=memory)
    assert {action.reason for action in held.values() if isinstance(action, Hold)} == {HoldReason.ROLLED_BACK}
    assert len(held) == 5
    again = by_device(desired_of(5, labels={"attempt": "2"}), back, rollouts=memory)
    assert any(isinstance(action, Install) for action in again.values())


def test_what_was_complete_once_is_not_taken_back() -> None:
    desired = desired_of()
    memory = {
        EVERYWHERE.name: RolloutMemory(revision_of(desired, EVERYWHERE.name), completed_at=NOW - timedelta(days=1))
    }
    actions = by_device(
        desired, {"d000": settled(faults=1), "d001": settled(faults=1), "d002": settled()}, rollouts=memory
    )
    assert isinstance(actions["d002"], NoChange)


def test_a_device_made_with_the_former_model_is_told_to_activate_it() -> None:
    made = settled(faults=1, capabilities=replace(told(ESP32), prebaked=(OLD,)))
    action = by_device(desired_of(1), {"d000": made})["d000"]
    assert isinstance(action, ActivatePrebaked)
    assert action.model == V1


def test_no_more_are_at_risk_than_the_budget_can_bear() -> None:
    desired = desired_of(9, gates=(), budget=FailureBudget(2))
    devices = {f"d{number:03}": seen(OLD) for number in range(9)}
    actions = by_device(desired, devices)
    assert sum(isinstance(action, Install) for action in actions.values()) == 3
    assert {a.reason for a in actions.values() if isinstance(a, Hold)} == {HoldReason.AT_RISK}
    loose = by_device(desired_of(9, gates=(), budget=FailureBudget(2), max_at_risk=5), devices)
    assert sum(isinstance(action, Install) for action in loose.values()) == 5
    free = by_device(desired_of(9, gates=(), budget=FailureBudget()), devices)
    assert sum(isinstance(action, Install) for action in free.values()) == 9


@pytest.mark.parametrize(
    "rule",
    [
        MinAvailable("line", count=3),
        MinAvailable("line", percent=75),
        MinAvailable("line", percent=60),  # of four: 2.4, and so three
    ],
)
def test_of_a_group_some_go_on_working(rule: MinAvailable) -> None:
    desired = desired_of(8, gates=(), budget=FailureBudget(), min_available=(rule,))
    devices = {f"d{number:03}": seen(OLD) for number in range(8)}
    actions = by_device(desired, devices)
    begun = [name for name, action in actions.items() if isinstance(action, Install)]
    assert sorted(int(name[1:]) % 2 for name in begun) == [0, 1]
    devices["d000"] = replace(devices["d000"], last_seen=NOW - timedelta(hours=1))  # away already
    actions = by_device(desired, devices)
    assert [int(name[1:]) % 2 for name, action in actions.items() if isinstance(action, Install)] == [1]


def test_a_device_that_flaps_is_left_alone_longer_each_time() -> None:
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


def test_a_wave_waits_for_gates_and_says_so() -> None:
    desired = desired_of(3, waves=(Wave("canary", count=1),))
    everybody = {f"d{number:03}": seen(OLD) for number in range(3)}
    canary = next(name for name, action in by_device(desired, everybody).items() if isinstance(action, Install))
    devices = {f"d{number:03}": seen(OLD) for number in range(3)}
    devices[canary] = replace(settled(), health=None)
    waits = [action.why for action in by_device(desired, devices).values() if isinstance(action, Hold)]
    assert len(waits) == 2
    assert all("1 not past a gate (nothing was heard of how it does)" in why for why in waits)


def test_wishes_differ_by_what_is_wanted_and_not_by_when() -> None:
    base = revision_of(desired_of(), EVERYWHERE.name)
    assert revision_of(desired_of(9, suspend=True, priority=3, critical=True), EVERYWHERE.name) == base
    for changed in (
        {"gates": ()},
        {"budget": FailureBudget(2)},
        {"parameters": {"threshold": 0.9}},
        {"labels": {"a": "b"}},
    ):
        assert revision_of(desired_of(3, **changed), EVERYWHERE.name) != base
