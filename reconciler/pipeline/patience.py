# SPDX-License-Identifier: Apache-2.0
"""How long a device may take for its stage before it counts as failed (docs/pipelines.md)."""

from __future__ import annotations

from collections.abc import Collection

FIRST_S = 3.0  # before the first run, which opens a session: that takes a small core up to 2 s
LEAST_S = 0.25
TIMES = 3  # the slowest of the last runs


def patience_s(runs_s: Collection[float], expected_s: float = 0.0) -> float:
    """Return the limit after the last runs, from the seconds that each took; before any, from what is expected."""
    return max(LEAST_S, TIMES * max(runs_s)) if runs_s else FIRST_S + TIMES * expected_s
