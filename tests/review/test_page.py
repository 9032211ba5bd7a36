# SPDX-License-Identifier: Apache-2.0
"""docs/review.md says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.cli.views.plan_text import COMMENT_CHARS
from reconciler.daemon.event_queue import FIRST_WAIT_S, GIVEN_UP_AFTER, LONGEST_WAIT_S
from reconciler.report.events import EventKind
from reconciler.review.risks import CANARY_FEW, CANARY_PERCENT, RiskCode
from reconciler.review.rollout_state import RolloutState
from reconciler.review.transfer_time import BLOCK_BYTES, EXCHANGE_BYTES, EXCHANGE_S

PAGE = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")


def test_every_risk_has_its_row_and_no_other() -> None:
    section = PAGE.partition("### Risks")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {code.value for code in RiskCode}
    assert f"more than {CANARY_PERCENT} % of the devices, and more than {CANARY_FEW}" in section


def test_states_and_events_are_named() -> None:
    assert all(f"`{state.value}`" in PAGE for state in RolloutState)
    assert all(f"`{event.value}`" in PAGE for event in EventKind)


def test_figures_are_those_of_the_code() -> None:
    assert f"{EXCHANGE_BYTES} bytes and {EXCHANGE_S} s" in PAGE
    assert f"each block of {BLOCK_BYTES}" in PAGE
    assert f"for {FIRST_WAIT_S:.0f} s, {2 * FIRST_WAIT_S:.0f} s, … up to {LONGEST_WAIT_S / 60:.0f} minutes" in PAGE
    assert f"after {GIVEN_UP_AFTER} tries" in PAGE
    assert COMMENT_CHARS < 65_536
    assert "65,536 characters" in PAGE
