# SPDX-License-Identifier: Apache-2.0
"""The time from a moved alias to the proposal on the remote, and the commits while nothing moves."""

from __future__ import annotations

import math
import time
from pathlib import Path

from reconciler.engine.followed.station import CHECK_EVERY_S
from reconciler.git.proposal_outcomes import Proposed
from tests.engine.followed.followed_plant import followed_plant

IDLE_CHECKS = 20


def followed_alias(folder: Path) -> tuple[float, int]:
    """Return the longest time to a proposal, in seconds, and how many refs changed in idle checks."""
    with followed_plant(folder) as plant:
        before = plant.commits()
        for _ in range(IDLE_CHECKS):
            plant.look()
        idle = len(set(plant.commits()) ^ set(before))
        plant.registry.moved = True
        start = time.perf_counter()
        good = isinstance(plant.propose(), Proposed)
        # An alias that moves right after a check waits for the next one.
        took = CHECK_EVERY_S + time.perf_counter() - start if good else math.inf
        proposed = plant.commits()
        for _ in range(IDLE_CHECKS):
            plant.propose()
        return took, idle + len(set(plant.commits()) ^ set(proposed))
