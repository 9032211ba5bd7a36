# SPDX-License-Identifier: Apache-2.0
"""Rollouts that stopped or completed are remembered over restarts, and a pack that failed a gate stays failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.observed.rollout_memory import RolloutMemories, record_gates
from reconciler.engine.state.writer import StateWriter
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
FAULTS = HealthGate(HealthMetric.FAULTS, at_most=0, min_inferences=100)
ARTIFACTS = {(each.model, each.type): each for each in BUILT}
PAIR = fleet([device(1), device(2)])
GATED = fleet([device(1), device(2), device(3)], [replace(EVERYWHERE, gates=(FAULTS,))])
SETTLED = seen(WANTED, parameters={"threshold": 0.5}, confirmed_since=NOW - timedelta(hours=1))


def complete() -> Observed:
    return observe({"d001": SETTLED, "d002": SETTLED}, *BUILT)


def test_a_completed_rollout_is_recorded_once_and_known_after_a_restart(state: StateWriter) -> None:
    memories, planner = RolloutMemories(state), Planner()
    observed = memories.merged(complete(), None, {})
    planner.plan(PAIR, observed, NOW)
    assert memories.record(observed, planner, NOW)
    expected = {NAME: RolloutMemory(revision_of(PAIR, NAME), completed_at=NOW)}
    assert memories.rollouts == expected
    observed = memories.merged(complete(), None, {})
    planner.plan(PAIR, observed, NOW + timedelta(hours=1))
    assert not memories.record(observed, planner, NOW + timedelta(hours=1))
    assert RolloutMemories(state).rollouts == expected


def test_a_stop_is_remembered_until_the_revision_changes(state: StateWriter) -> None:
    memories, planner = RolloutMemories(state), Planner()
    failed = replace(
        observe({"d001": seen(OLD), "d002": seen(OLD)}, *BUILT), quarantined=frozenset({(device(1).name, WANTED)})
    )
    observed = memories.merged(failed, None, {})
    planner.plan(PAIR, observed, NOW)
    assert memories.record(observed, planner, NOW)
    restarted = RolloutMemories(state)
    assert (restarted.rollouts[NAME].stopped, restarted.rollouts[NAME].stopped_at) == (
        "stopped: 1 failed, 0 allowed",
        NOW,
    )
    other = fleet(PAIR.devices.values(), [replace(EVERYWHERE, labels={"attempt": "2"})])
    recovered = restarted.merged(observe({"d001": seen(OLD), "d002": seen(OLD)}, *BUILT), None, {})
    planner.plan(other, recovered, NOW)
    assert restarted.record(recovered, planner, NOW)
    assert restarted.rollouts == {}
    assert RolloutMemories(state).rollouts == {}


def test_without_a_change_the_same_object_is_observed(state: StateWriter) -> None:
    memories, seen_now = RolloutMemories(state), complete()
    here, peers = GatewayId("north"), {GatewayId("south"): PeerReport({})}
    first = memories.merged(seen_now, here, peers)
    assert (first.gateway, first.peers, first.devices) == (here, peers, seen_now.devices)
    assert memories.merged(seen_now, here, peers) is first
    assert memories.merged(replace(seen_now), here, peers) is not first
    assert memories.merged(seen_now, here, dict(peers)) is not first
    second = memories.merged(seen_now, here, peers)
    memories.rollouts = {NAME: RolloutMemory("ab" * 8)}
    assert memories.merged(seen_now, here, peers) is not second


def counted(inferences: int, faults: int) -> DeviceHealth:
    return DeviceHealth(Counts(inferences, 0, faults, 0))


def test_a_failed_gate_quarantines_the_pack_and_an_open_one_awaits_evidence(state: StateWriter) -> None:
    devices = {
        "d001": replace(SETTLED, health=counted(200, 0)),
        "d002": replace(SETTLED, health=counted(200, 3)),
        "d003": replace(SETTLED, health=counted(5, 0)),
    }
    inventory, planner = Inventory(state), Planner()
    planner.plan(GATED, observe(devices, *BUILT), NOW)
    record_gates(GATED, planner, inventory, ARTIFACTS)
    assert set(inventory.evidence.awaited) == {device(3).name}
    why = inventory.why_quarantined(device(2).name, WANTED)
    assert why == "a gate failed: faults is 3, above the maximum of 0"
    assert inventory.why_quarantined(device(1).name, WANTED) is None
    assert {(each.device, each.revision) for each in state.quarantined()} == {
        (device(2).name, revision_of(GATED, NAME))
    }
    record_gates(GATED, planner, inventory, ARTIFACTS)
    assert inventory.why_quarantined(device(2).name, WANTED) == why


def test_without_gates_or_artifacts_nothing_is_awaited_or_quarantined(state: StateWriter) -> None:
    inventory, planner = Inventory(state), Planner()
    planner.plan(PAIR, complete(), NOW)
    record_gates(PAIR, planner, inventory, ARTIFACTS)
    assert set(inventory.evidence.awaited) == set()
    faulty = {f"d00{number}": replace(SETTLED, health=counted(200, 3)) for number in (1, 2, 3)}
    planner.plan(GATED, observe(faulty, *BUILT), NOW)
    record_gates(GATED, planner, inventory, {})
    assert not list(state.quarantined())


def test_devices_of_other_gateways_are_neither_awaited_nor_quarantined(state: StateWriter) -> None:
    """The plan considers them, but their own gateways record their gates."""
    faulty = {f"d00{number}": replace(SETTLED, health=counted(5, 3)) for number in (1, 2, 3)}
    inventory, planner = Inventory(state), Planner()
    planner.plan(GATED, observe(faulty, *BUILT), NOW)
    ours = replace(GATED, devices={device(1).name: device(1)})
    record_gates(ours, planner, inventory, ARTIFACTS)
    assert {each.device for each in state.quarantined()} == {device(1).name}
