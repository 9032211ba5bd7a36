# SPDX-License-Identifier: Apache-2.0
"""Conditions: the changes that move `since`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.report.conditions import Condition, Status, carry_over

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


def test_a_changed_message_does_not_move_since() -> None:
    old = Condition("UpToDate", Status.FALSE, "Updating", "block 1", NOON, "c1")
    (new,) = carry_over([replace(old, message="block 2", since=LATER)], [old])
    assert (new.message, new.since) == ("block 2", NOON)
