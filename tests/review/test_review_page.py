# SPDX-License-Identifier: Apache-2.0
"""docs/review.md agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.cli.views.plan_markdown import COMMENT_CHARS
from reconciler.daemon.webhook_queue import FIRST_WAIT_S, GIVEN_UP_AFTER, LONGEST_WAIT_S
from reconciler.report.rollout_events import EventKind
from reconciler.review.risks import MAX_CANARY_PERCENT, SMALL_CANARY, RiskCode
from reconciler.review.rollout_state import RolloutState
from reconciler.review.transfer_time import BLOCK_BYTES, EXCHANGE_BYTES, EXCHANGE_S

PAGE = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
UNWRAPPED = " ".join(PAGE.split())


def test_the_page_lists_exactly_the_risks() -> None:
    section = PAGE.partition("### Risks")[2].partition("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == {code.value for code in RiskCode}
    assert f"more than {MAX_CANARY_PERCENT} % of the devices, and more than {SMALL_CANARY}" in section


def test_the_page_names_all_states_and_events() -> None:
    assert all(f"`{state.value}`" in PAGE for state in RolloutState)
    assert all(f"`{event.value}`" in PAGE for event in EventKind)


def test_the_figures_on_the_page_match() -> None:
    assert f"{EXCHANGE_BYTES} bytes and {EXCHANGE_S} s" in UNWRAPPED
    assert f"each block of {BLOCK_BYTES}" in UNWRAPPED
    assert f"for {FIRST_WAIT_S:.0f} s, {2 * FIRST_WAIT_S:.0f} s, … up to {LONGEST_WAIT_S / 60:.0f} minutes" in UNWRAPPED
    assert f"after {GIVEN_UP_AFTER} tries" in UNWRAPPED
    assert COMMENT_CHARS < 65_536
    assert "65,536 characters" in UNWRAPPED
