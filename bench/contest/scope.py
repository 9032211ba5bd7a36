# SPDX-License-Identifier: Apache-2.0
"""How many changes of a gateway's own commit are refused, when each value of a fleet is changed in turn."""

from __future__ import annotations

from reconciler.automation_scope import find_change, grant_of
from tests.test_automation_scope import EVERYTHING, NORTH, changes, proposal


def scope_refused() -> tuple[int, int]:
    """Add each change that is not granted to one that is; return how many are refused, and of how many."""
    grant = grant_of(EVERYTHING, NORTH)
    altered = [changed for where, _, changed in changes(proposal(EVERYTHING)) if where[0] != "commit"]
    return sum(isinstance(find_change(EVERYTHING, each, grant), str) for each in altered), len(altered)
