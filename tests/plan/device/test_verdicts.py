# SPDX-License-Identifier: Apache-2.0
"""What a verdict says besides its action: until when it holds, who is away, and what may be rolled back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model import (
    ActivatePrebaked,
    Before,
    Blocked,
    BlockedReason,
    Counts,
    DeviceHealth,
    HealthGate,
    HealthMetric,
    ObservedDevice,
    OnFailure,
    Phase,
    Rollout,
    TypeId,
)
from reconciler.plan.device.case import Case
from reconciler.plan.device.evaluate import evaluate
from reconciler.plan.device.rollout_goal import Goal, goal_for
from reconciler.plan.device.verdict import (
    DeviceVerdict,
    DueDevice,
    FailedDevice,
    MissingDevice,
    OutDevice,
    SettledDevice,
)
from reconciler.plan.revision import revision_of
from tests.plan.example_fleet import (
    BUILT,
    ESP32,
    EVERYWHERE,
    NOW,
    V1,
    V2,
    capabilities_of,
    device,
    digest_of,
    fleet,
    observe,
    seen,
)

WANTED, OLD = digest_of(V2, ESP32.name), digest_of(V1, ESP32.name)
GATED = replace(EVERYWHERE, on_failure=OnFailure.ROLL_BACK, gates=(HealthGate(HealthMetric.FAULTS, at_most=0),))
FAULTY = DeviceHealth(Counts(inferences=1000, anomalies=0, faults=1, resets=0))
OWN = {"threshold": 0.5}  # the model's own parameters
NAME = device(1).name


def goal(rollout: Rollout = EVERYWHERE) -> Goal:
    return goal_for(fleet([device(1)], [rollout]), observe({}, *BUILT), rollout.name, ESP32.name)


def verdict(report: ObservedDevice, rollout: Rollout = EVERYWHERE) -> DeviceVerdict:
    return evaluate(Case(goal(rollout), NAME, report, frozenset(), NOW))


def before(rollout: Rollout) -> Before:
    return Before(revision_of(fleet([device(1)], [rollout]), rollout.name), OLD, {"threshold": 0.5})


SILENT_AFTER = goal().silent_after
SILENT = NOW - SILENT_AFTER  # the last report of a device that counts as silent just now


@pytest.mark.parametrize(
    "report",
    [
        seen(WANTED, parameters=OWN),
        seen(OLD),
        seen(OLD, capabilities=replace(capabilities_of(ESP32), type=TypeId("another"))),
        seen(WANTED, health=FAULTY, parameters=OWN),
    ],
    ids=["settled", "due", "out", "failed a gate"],
)
def test_a_verdict_about_a_device_that_reports_holds_until_it_would_be_silent(report: ObservedDevice) -> None:
    found = verdict(report, GATED)
    assert found.until == NOW + SILENT_AFTER - (NOW - report.last_seen)
    assert not found.away
    later = verdict(replace(report, last_seen=SILENT), GATED)
    assert later.until is None
    assert later.away


def test_a_silent_device_has_failed_only_if_it_had_begun() -> None:
    assert isinstance(verdict(seen(OLD, last_seen=SILENT)), MissingDevice)
    begun = seen(OLD, phase=Phase.RECEIVING, incoming=WANTED, last_seen=SILENT)
    assert isinstance(verdict(begun), FailedDevice)


def test_a_device_without_what_its_model_needs_is_out_only_while_it_does_not_run_it() -> None:
    small = replace(capabilities_of(ESP32), slot_bytes=1, prebaked=())
    assert isinstance(verdict(seen(OLD, capabilities=small)), OutDevice)
    assert isinstance(verdict(seen(WANTED, capabilities=small, phase=Phase.TRIAL)), DueDevice)


def test_another_model_with_the_same_parameters_is_not_what_was_wanted() -> None:
    assert isinstance(verdict(seen(OLD, parameters=OWN)), DueDevice)
    assert isinstance(verdict(seen(None, parameters=OWN)), DueDevice)


def test_a_pre_baked_model_needs_no_room() -> None:
    full = replace(capabilities_of(ESP32), slot_bytes=0, updates=False, prebaked=(WANTED,))
    found = verdict(seen(OLD, capabilities=full))
    assert isinstance(found, DueDevice)
    assert isinstance(found.action, ActivatePrebaked)


def test_a_device_that_failed_a_gate_is_rolled_back_unless_it_is_silent() -> None:
    faulty = seen(WANTED, health=FAULTY, before=before(GATED), parameters=OWN)
    found = verdict(faulty, GATED)
    assert isinstance(found, FailedDevice)
    assert found.action == found.rollback is not None
    silent = verdict(replace(faulty, last_seen=SILENT), GATED)
    assert isinstance(silent, FailedDevice)
    assert isinstance(silent.action, Blocked)
    assert (silent.action.reason, silent.rollback) == (BlockedReason.SILENT, None)


def test_a_settled_device_states_since_when_and_that_it_can_be_rolled_back() -> None:
    since = NOW - timedelta(hours=5)
    rollout = replace(EVERYWHERE, on_failure=OnFailure.ROLL_BACK)
    report = seen(WANTED, confirmed_since=since, before=before(rollout), parameters=OWN)
    found = verdict(report, rollout)
    assert isinstance(found, SettledDevice)
    assert (found.since, found.silent_since) == (since, None)
    assert found.rollback is not None
    silent = verdict(replace(report, last_seen=SILENT), rollout)
    assert isinstance(silent, SettledDevice)
    assert (silent.silent_since, silent.rollback) == (SILENT, None)


@pytest.mark.parametrize(
    ("report", "begun", "away"),
    [
        (seen(OLD), False, False),
        (seen(OLD, phase=Phase.RECEIVING, incoming=WANTED), True, True),
        (seen(OLD, phase=Phase.STAGED, incoming=digest_of(V1, ESP32.name)), False, True),
        (seen(OLD, phase=Phase.TRIAL), False, True),
    ],
    ids=["idle", "receiving it", "another is staged", "another is on trial"],
)
def test_a_device_that_is_being_changed_is_away(report: ObservedDevice, begun: bool, away: bool) -> None:  # noqa: FBT001 - parametrized
    found = verdict(report)
    assert isinstance(found, DueDevice)
    assert (found.begun, found.away) == (begun, away)


def test_a_pause_for_flapping_ends_at_its_time() -> None:
    """The verdict holds until the pause ends, or until the device would be silent, whatever comes first."""
    came_back = NOW - timedelta(minutes=20)
    flapping = seen(OLD, flaps=3, flapped_at=came_back, last_seen=NOW)
    ends = came_back + 2 * SILENT_AFTER
    found = verdict(flapping)
    assert isinstance(found, DueDevice)
    assert found.paused
    assert found.until == min(ends, NOW + SILENT_AFTER) == ends
    longer = verdict(replace(flapping, flaps=5))
    assert longer.until == NOW + SILENT_AFTER
    at_the_end = evaluate(Case(goal(), NAME, replace(flapping, last_seen=ends), frozenset(), ends))
    assert isinstance(at_the_end, DueDevice)
    assert (at_the_end.paused, at_the_end.until) == ("", ends + SILENT_AFTER)
