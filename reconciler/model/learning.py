# SPDX-License-Identifier: Apache-2.0
"""Observed state: how far devices are with models of their own (docs/specs/learning.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

LEARN_OPERATOR = "LEARN"  # of devices that learn, and of the packs that have them do so
LEARN_GENERATION = "learn-generation"  # a parameter of a pack: another value has devices learn again


class LearningStage(IntEnum):
    """How far a device is with a forest of its own (docs/specs/learning.md, section 5)."""

    OFF = 0
    WAITING = 1
    ERASING_ROWS = 2
    COLLECTING = 3
    ERASING_FOREST = 4
    GROWING = 5
    EVALUATING = 6
    GROWN = 7
    DISCARDED = 8


@dataclass(frozen=True, slots=True)
class LearningProgress:
    """What a device last said about a forest of its own."""

    stage: LearningStage
    rows: int
    tree: int  # the one that grows
    forest_bytes: int  # 0: it has none
    anomalous: int  # of its rows, to the grown forest

    @property
    def settled(self) -> bool:
        """Return whether only a new generation, or another model, changes something."""
        return self.stage in {LearningStage.OFF, LearningStage.GROWN, LearningStage.DISCARDED}
