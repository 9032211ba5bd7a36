# SPDX-License-Identifier: Apache-2.0
"""What the devices of a rollout do when gates fail and when the failure budget is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from reconciler.model import (
    Action,
    ActivatePrebaked,
    Before,
    Blocked,
    BlockedReason,
    Configure,
    DeviceHealth,
    Hold,
    HoldReason,
    Install,
    NoChange,
    OnFailure,
    Origin,
    RolloutMemory,
    Wave,
)
from reconciler.plan import detailed_plan, remember
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import BUILT, ESP32, EVERYWHERE, NOW, V1, capabilities_of, observe, seen
from tests.plan.gated_fleet import CALM, OLD, by_device, desired_of, settled


def test_a_failed_gate_rolls_back_its_device_alone_or_blocks_it_if_the_rollout_only_stops() -> None:
    devices = {"d000": settled(faults=1), "d001": settled(), "d002": seen(OLD)}
    actions = by_device(desired_of(), devices)
    assert isinstance(actions["d000"], Install)
    assert (actions["d000"].model, actions["d000"].origin) == (V1, Origin.OTHER_SLOT)
    assert isinstance(actions["d001"], NoChange)
    assert isinstance(actions["d002"], Install)
    stays = by_device(desired_of(on_failure=OnFailure.STOP), devices)["d000"]
    assert isinstance(stays, Blocked)
    assert stays.reason is BlockedReason.GATE
    assert "faults is 1, above the maximum of 0" in stays.why


def test_a_spent_budget_rolls_all_devices_back_and_stays_spent() -> None:
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
        actions["d004"].device, EVERYWHERE.name, {"threshold": 0.4}, "rolls back to its earlier parameters"
    )
    # All devices are healthy again, but the rollout stays stopped: only a new revision starts it again.
    memory = remember(observed, found.evaluations, NOW)
    back = {f"d{number:03}": seen(OLD, parameters={"threshold": 0.4}, before=before) for number in range(5)}
    held = by_device(desired, back, rollouts=memory)
    assert {action.reason for action in held.values() if isinstance(action, Hold)} == {HoldReason.ROLLED_BACK}
    assert len(held) == 5
    again = by_device(desired_of(5, labels={"attempt": "2"}), back, rollouts=memory)
    assert any(isinstance(action, Install) for action in again.values())


def test_a_rollout_that_was_complete_is_not_rolled_back() -> None:
    desired = desired_of()
    memory = {
        EVERYWHERE.name: RolloutMemory(revision_of(desired, EVERYWHERE.name), completed_at=NOW - timedelta(days=1))
    }
    actions = by_device(
        desired, {"d000": settled(faults=1), "d001": settled(faults=1), "d002": settled()}, rollouts=memory
    )
    assert isinstance(actions["d002"], NoChange)


def test_a_device_provisioned_with_its_former_model_activates_it() -> None:
    made = settled(faults=1, capabilities=replace(capabilities_of(ESP32), prebaked=(OLD,)))
    action = by_device(desired_of(1), {"d000": made})["d000"]
    assert isinstance(action, ActivatePrebaked)
    assert action.model == V1


def test_a_wave_reports_that_it_waits_for_a_gate() -> None:
    desired = desired_of(3, waves=(Wave("canary", count=1),))
    everyone = {f"d{number:03}": seen(OLD) for number in range(3)}
    canary = next(name for name, action in by_device(desired, everyone).items() if isinstance(action, Install))
    devices = {f"d{number:03}": seen(OLD) for number in range(3)}
    devices[canary] = replace(settled(), health=None)
    waits = [action.why for action in by_device(desired, devices).values() if isinstance(action, Hold)]
    assert len(waits) == 2
    assert all("1 waiting for a gate (the device has reported no counters)" in why for why in waits)
