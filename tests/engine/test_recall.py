# SPDX-License-Identifier: Apache-2.0
"""What must not be forgotten of rollouts outlives the daemon, and what failed a gate stays failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.rollout_memory import RolloutMemories, take_gates
from reconciler.engine.state.database import StateDatabase
from reconciler.model import (
    Counts,
    DeviceHealth,
    GatewayId,
    HealthGate,
    HealthMetric,
    Observed,
    PeerReport,
    RolloutMemory,
)
from reconciler.plan import Planner
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, V2, device, digest_of, fleet, observe, seen

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
NAME = EVERYWHERE.name
FAULTS = HealthGate(HealthMetric.FAULTS, at_most=0, over_inferences=100)
ARTIFACTS = {(each.model, each.type): each for each in BUILT}
PAIR = fleet([device(1), device(2)])
GATED = fleet([device(1), device(2), device(3)], [replace(EVERYWHERE, gates=(FAULTS,))])
SETTLED = seen(WANTED, parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(hours=1))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    opened = StateDatabase(tmp_path / "state.db")
    yield opened
    opened.close()


def complete() -> Observed:
    return observe({"d001": SETTLED, "d002": SETTLED}, *BUILT)


def test_what_was_complete_is_news_once_and_known_after_a_restart(state: StateDatabase) -> None:
    recall, planner = RolloutMemories(state), Planner()
    observed = recall.merged(complete(), None, {})
    planner.plan(PAIR, observed, NOW)
    assert recall.take(observed, planner, NOW)
    expected = {NAME: RolloutMemory(revision_of(PAIR, NAME), completed_at=NOW)}
    assert recall.rollouts == expected
    observed = recall.merged(complete(), None, {})
    planner.plan(PAIR, observed, NOW + timedelta(hours=1))
    assert not recall.take(observed, planner, NOW + timedelta(hours=1))
    assert RolloutMemories(state).rollouts == expected


def test_a_stop_is_remembered_until_git_wants_something_else(state: StateDatabase) -> None:
    recall, planner = RolloutMemories(state), Planner()
    failed = replace(
        observe({"d001": seen(OLD), "d002": seen(OLD)}, *BUILT), quarantined=frozenset({(device(1).name, WANTED)})
    )
    observed = recall.merged(failed, None, {})
    planner.plan(PAIR, observed, NOW)
    assert recall.take(observed, planner, NOW)
    again = RolloutMemories(state)
    assert (again.rollouts[NAME].stopped, again.rollouts[NAME].stopped_at) == ("stopped: 1 failed, 0 allowed", NOW)
    other = fleet(PAIR.devices.values(), [replace(EVERYWHERE, labels={"attempt": "2"})])
    healed = again.merged(observe({"d001": seen(OLD), "d002": seen(OLD)}, *BUILT), None, {})
    planner.plan(other, healed, NOW)
    assert again.take(healed, planner, NOW)
    assert again.rollouts == {}
    assert RolloutMemories(state).rollouts == {}


def test_while_nothing_is_new_the_very_same_is_observed(state: StateDatabase) -> None:
    recall, told = RolloutMemories(state), complete()
    here, peers = GatewayId("north"), {GatewayId("south"): PeerReport({})}
    first = recall.merged(told, here, peers)
    assert (first.gateway, first.peers, first.devices) == (here, peers, told.devices)
    assert recall.merged(told, here, peers) is first
    assert recall.merged(replace(told), here, peers) is not first
    assert recall.merged(told, here, dict(peers)) is not first
    second = recall.merged(told, here, peers)
    recall.rollouts = {NAME: RolloutMemory("ab" * 8)}
    assert recall.merged(told, here, peers) is not second


def counted(inferences: int, faults: int) -> DeviceHealth:
    return DeviceHealth(Counts(inferences, 0, faults, 0))


def test_gates_quarantine_what_failed_and_say_of_whom_they_await_evidence(state: StateDatabase) -> None:
    devices = {
        "d001": replace(SETTLED, health=counted(200, 0)),
        "d002": replace(SETTLED, health=counted(200, 3)),
        "d003": replace(SETTLED, health=counted(5, 0)),
    }
    view, planner = Inventory(state), Planner()
    planner.plan(GATED, observe(devices, *BUILT), NOW)
    take_gates(GATED, planner, view, ARTIFACTS)
    assert set(view.evidence.wanted) == {device(3).name}
    why = view.why_quarantined(device(2).name, WANTED)
    assert why == "a gate failed: faults is 3, at most 0 passes"
    assert view.why_quarantined(device(1).name, WANTED) is None
    assert {(each.device, each.revision) for each in state.quarantined()} == {
        (device(2).name, revision_of(GATED, NAME))
    }
    take_gates(GATED, planner, view, ARTIFACTS)
    assert view.why_quarantined(device(2).name, WANTED) == why


def test_without_gates_nothing_is_awaited_and_of_no_artifact_nothing_is_quarantined(state: StateDatabase) -> None:
    view, planner = Inventory(state), Planner()
    planner.plan(PAIR, complete(), NOW)
    take_gates(PAIR, planner, view, ARTIFACTS)
    assert set(view.evidence.wanted) == set()
    faulty = {f"d00{number}": replace(SETTLED, health=counted(200, 3)) for number in (1, 2, 3)}
    planner.plan(GATED, observe(faulty, *BUILT), NOW)
    take_gates(GATED, planner, view, {})
    assert not list(state.quarantined())


def test_devices_of_others_are_neither_awaited_nor_quarantined(state: StateDatabase) -> None:
    """They are in sight of the plan; their gateways see to them."""
    faulty = {f"d00{number}": replace(SETTLED, health=counted(5, 3)) for number in (1, 2, 3)}
    view, planner = Inventory(state), Planner()
    planner.plan(GATED, observe(faulty, *BUILT), NOW)
    ours = replace(GATED, devices={device(1).name: device(1)})
    take_gates(ours, planner, view, ARTIFACTS)
    assert {each.device for each in state.quarantined()} == {device(1).name}
