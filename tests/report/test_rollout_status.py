# SPDX-License-Identifier: Apache-2.0
"""The status of a rollout: its conditions, and the file that other gateways read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import DeviceId, RolloutId, RolloutReport
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_file import InvalidRolloutStatus, read_rollout_file, rollout_file
from reconciler.report.rollout_status import RolloutFacts, WaveFacts, rollout_status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REPORT = RolloutReport(
    "ab" * 8,
    done=frozenset({DeviceId("d1"), DeviceId("d2")}),
    failed=frozenset({DeviceId("d3")}),
    at=NOW,
)
STOPPED = replace(REPORT, stopped="stopped: 2 failed, 1 allowed")
FACTS = RolloutFacts(
    RolloutId("r"), "m@2", REPORT, (WaveFacts("canary", 3, 2, 0, 0, 1, 0, open=True),), complete=False, waiting="wave 1"
)


def test_a_rollout_file_is_read_back() -> None:
    status = rollout_status(FACTS, PassStamp(NOW, "c" * 40), None)
    assert read_rollout_file(rollout_file(status)) == status
    assert b"done: d1 d2\n" in rollout_file(status)


def test_since_is_when_waiting_began_and_a_new_commit_alone_changes_nothing() -> None:
    first = rollout_status(FACTS, PassStamp(NOW, "c" * 40), None)
    assert rollout_status(FACTS, PassStamp(NOW + timedelta(hours=1), "d" * 40), first) == first
    later = rollout_status(replace(FACTS, waiting="wave 2"), PassStamp(NOW + timedelta(hours=1), "d" * 40), first)
    assert (later.ready.message, later.ready.since) == ("wave 2", NOW)


@pytest.mark.parametrize("facts", [FACTS, replace(FACTS, complete=True), replace(FACTS, report=STOPPED)])
def test_since_starts_again_with_a_new_version(facts: RolloutFacts) -> None:
    before = rollout_status(facts, PassStamp(NOW, "c" * 40), None)
    later = PassStamp(NOW + timedelta(days=3), "d" * 40)
    next_version = replace(facts, model="m@3", report=replace(facts.report, revision="another"))
    assert {each.since for each in rollout_status(next_version, later, before).conditions} == {later.now}
    assert {each.since for each in rollout_status(facts, later, before).conditions} == {NOW}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (FACTS, "Progressing"),
        (replace(FACTS, held="rollout r is suspended"), "Held"),
        (replace(FACTS, complete=True), "Ready"),
        (replace(FACTS, report=replace(REPORT, stopped="stopped: 2 failed, 1 allowed")), "FailureBudgetSpent"),
        (
            replace(FACTS, report=replace(REPORT, stopped="stopped: 2 failed, 1 allowed"), rolled_back=True),
            "RolledBack",
        ),
    ],
)
def test_each_rollout_state_has_its_reason(facts: RolloutFacts, reason: str) -> None:
    assert rollout_status(facts, PassStamp(NOW, "c" * 40), None).ready.reason == reason


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[",
        b"kind: RolloutStatus\n",
        b"kind: DeviceStatus\nstatus: {}\n",
        rollout_file(rollout_status(FACTS, PassStamp(NOW, ""), None)).replace(b"done: d1 d2", b"done: [d1, [d2]]"),
        rollout_file(rollout_status(FACTS, PassStamp(NOW, ""), None)).replace(b"at: '2026", b"at: 'x2026"),
    ],
)
def test_a_malformed_rollout_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRolloutStatus):
        read_rollout_file(data)
