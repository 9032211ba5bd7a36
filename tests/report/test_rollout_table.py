# SPDX-License-Identifier: Apache-2.0
"""The table of rollouts in the README of a status branch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model import RolloutId, RolloutReport
from reconciler.report.device_status import PassStamp
from reconciler.report.gateway_status import GatewayFacts, SourceState, gateway_status
from reconciler.report.rollout_status import RolloutFacts, RolloutStatus, WaveFacts, rollout_status
from reconciler.report.rollout_table import bar, rollout_section
from reconciler.report.status_files import readme

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MOMENT = PassStamp(NOON, "c" * 40)


def status(name: str = "wear", *, done: int = 1, waiting: str = "wave 1 (canary): 0 of 1 device done") -> RolloutStatus:
    waves = (
        WaveFacts("canary", 1, min(1, done), 0, 0, 0, 0, open=True),
        WaveFacts("rest", 3, max(0, done - 1), 1, 1, 1, 0, open=False),
    )
    facts = RolloutFacts(RolloutId(name), "wear@2", RolloutReport("w"), waves, complete=done == 4, waiting=waiting)
    return rollout_status(facts, MOMENT, None)


def test_a_rollout_in_progress_shows_its_waves() -> None:
    text = "\n".join(rollout_section([status()]))
    assert "| wear | wear@2 | Progressing | ███░░░░░░░░░ 1 of 4 | 2026-11-21 12:00 |" in text
    assert "| 1 canary | ████████████ 1 of 1 | 0 | 0 | 0 | 0 | complete |" in text
    assert "| 2 rest | ░░░░░░░░░░░░ 0 of 3 | 1 | 1 | 1 | 0 | not open |" in text


def test_a_rollout_that_is_over_is_one_line() -> None:
    assert [line for line in rollout_section([status(done=4)]) if "canary" in line] == []


def test_messages_stay_in_their_cell() -> None:
    row = next(line for line in rollout_section([status(waiting="a | b\nc")]) if line.startswith("| wear"))
    assert row.endswith("a \\| b c |")
    assert row.count("\n") == 0


@pytest.mark.parametrize(
    ("done", "total", "full"), [(0, 0, 0), (0, 9, 0), (1, 10_000, 1), (9_999, 10_000, 11), (7, 7, 12)]
)
def test_a_bar_is_full_only_at_the_end(done: int, total: int, full: int) -> None:
    assert bar(done, total) == "█" * full + "░" * (12 - full)


def test_the_readme_sorts_rollouts_by_name() -> None:
    source = SourceState(good=True, reason="Fetched", message="fine")
    gateway = gateway_status(GatewayFacts("hall", source), MOMENT, None)
    text = readme(gateway, [], {}, [status("b"), status("a")]).decode()
    assert text.index("### a") < text.index("### b")
    assert "## Rollouts" not in readme(gateway, [], {}).decode()
