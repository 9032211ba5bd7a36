# SPDX-License-Identifier: Apache-2.0
"""A rollout's status: conditions, a file that other gateways read, and nothing new when nothing is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model import DeviceId, RolloutId, RolloutReport
from reconciler.report.device_status import PassStamp
from reconciler.report.rollout_file import InvalidRolloutStatus, read_rollout_file, rollout_file
from reconciler.report.rollout_status import RolloutFacts, WaveFacts, rollout_status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WORD = RolloutReport(
    "ab" * 8,
    done=frozenset({DeviceId("d1"), DeviceId("d2")}),
    failed=frozenset({DeviceId("d3")}),
    at=NOW,
)
FACTS = RolloutFacts(
    RolloutId("r"), "m@2", WORD, (WaveFacts("canary", 3, 2, 0, 0, 1, 0, open=True),), complete=False, waiting="wave 1"
)


def test_what_is_told_is_read_again() -> None:
    status = rollout_status(FACTS, PassStamp(NOW, "c" * 40), None)
    assert read_rollout_file(rollout_file(status)) == status
    assert b"done: d1 d2\n" in rollout_file(status)


def test_since_says_since_when_it_waits_and_a_new_commit_alone_is_no_news() -> None:
    first = rollout_status(FACTS, PassStamp(NOW, "c" * 40), None)
    assert rollout_status(FACTS, PassStamp(NOW + timedelta(hours=1), "d" * 40), first) == first
    waits = rollout_status(replace(FACTS, waiting="wave 2"), PassStamp(NOW + timedelta(hours=1), "d" * 40), first)
    assert (waits.ready.message, waits.ready.since) == ("wave 2", NOW)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (FACTS, "Progressing"),
        (replace(FACTS, held="rollout r is suspended"), "Held"),
        (replace(FACTS, complete=True), "Ready"),
        (replace(FACTS, word=replace(WORD, stopped="stopped: 2 failed, 1 allowed")), "FailureBudgetSpent"),
        (replace(FACTS, word=replace(WORD, stopped="stopped: 2 failed, 1 allowed"), rolled_back=True), "RolledBack"),
    ],
)
def test_each_state_has_its_reason(facts: RolloutFacts, reason: str) -> None:
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
def test_what_another_gateway_writes_wrong_is_refused_and_no_more(data: bytes) -> None:
    with pytest.raises(InvalidRolloutStatus):
        read_rollout_file(data)
