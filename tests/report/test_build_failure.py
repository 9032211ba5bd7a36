# SPDX-License-Identifier: Apache-2.0
"""A model that can't be built, as devices, rollouts and events report it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import (
    BuildFailure,
    DeviceId,
    Install,
    ModelRef,
    Origin,
    RolloutId,
    RolloutReport,
    TypeId,
    Version,
)
from reconciler.report.conditions import Status
from reconciler.report.device_status import DeviceFacts, PassStamp, device_status
from reconciler.report.remedies import REMEDIES
from reconciler.report.rollout_events import EventDetector, EventKind
from reconciler.report.rollout_file import read_rollout_file, rollout_file
from reconciler.report.rollout_status import RolloutFacts, rollout_status

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
STAMP = PassStamp(NOW, "c" * 40)
WEAR = ModelRef("wear", Version("2"))
MISSING = BuildFailure(WEAR, TypeId("board"), "BuildToolsMissing", "scikit-learn is missing", retried=True)
GATE = BuildFailure(WEAR, TypeId("board"), "BuildGateFailed", "auc is 0.7, it must be at least 0.9", retried=False)
FACTS = RolloutFacts(
    RolloutId("all"), "wear@2", RolloutReport("r1", due=frozenset({DeviceId("d1")})), (), complete=False
)


def test_a_device_that_waits_for_the_artifact_says_why() -> None:
    action = Install(DeviceId("d1"), RolloutId("all"), WEAR, Origin.BUILD, {}, "wear@2 is to be built")
    status = device_status(DeviceFacts(action, build_failure=MISSING), STAMP, None)
    latest = next(each for each in status.conditions if each.type == "UpToDate")
    assert (latest.status, latest.reason) == (Status.FALSE, "BuildToolsMissing")
    assert latest.message == "wear@2 cannot be built for board: scikit-learn is missing; it is tried again"
    healed = device_status(DeviceFacts(action), STAMP, status)
    assert next(each.reason for each in healed.conditions if each.type == "UpToDate") == "Updating"


@pytest.mark.parametrize("failure", [MISSING, GATE])
def test_a_rollout_says_why_and_its_file_is_read_back(failure: BuildFailure) -> None:
    status = rollout_status(replace(FACTS, build_failure=failure), STAMP, None)
    assert (status.ready.status, status.ready.reason, status.ready.message) == (
        Status.FALSE,
        failure.reason,
        failure.text,
    )
    assert read_rollout_file(rollout_file(status)) == status
    assert REMEDIES[status.ready.reason].act


def test_a_file_of_an_earlier_release_has_no_build_failure() -> None:
    assert read_rollout_file(rollout_file(rollout_status(FACTS, STAMP, None))).facts.build_failure is None


def kinds(failure: BuildFailure, passed: timedelta) -> list[tuple[EventKind, str]]:
    detector = EventDetector("hall", timedelta(hours=1))
    rollouts = {FACTS.rollout: rollout_status(replace(FACTS, build_failure=failure), STAMP, None)}
    detector.events(rollouts, (), NOW)
    return [(each.event, each.message) for each in detector.events(rollouts, (), NOW + passed)]


def test_a_failure_that_only_git_can_correct_is_an_event_at_once() -> None:
    assert kinds(GATE, timedelta(minutes=1)) == [(EventKind.BUILD_FAILED, f"BuildGateFailed: {GATE.text}")]


def test_a_failure_that_may_pass_is_the_cause_of_a_stuck_rollout() -> None:
    assert kinds(MISSING, timedelta(minutes=1)) == []
    ((event, message),) = kinds(MISSING, timedelta(hours=2))
    assert event is EventKind.STUCK
    assert MISSING.text in message
