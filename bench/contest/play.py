# SPDX-License-Identifier: Apache-2.0
"""What happened to one bearing under one rule: who was champion when, and what that meant for its alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bench.bearings.dataset import BearingRun
from bench.contest.forests import BenchForest, Bools

FROM_LIFE = 0.05  # a contest begins after the run-in
HEALTHY_LIFE, FAILING_LIFE = 0.6, 0.9

Ints = npt.NDArray[np.int64]
Ranks = Mapping[BenchForest, int]


@dataclass(frozen=True)
class Setting:
    """One bearing's windows, what each forest calls them, and the forest that is champion first."""

    run: BearingRun
    bearing: int
    votes: Mapping[BenchForest, Bools]
    champion: BenchForest

    @property
    def first(self) -> int:
        """The window at which the contest begins."""
        return int(np.searchsorted(self.run.life, FROM_LIFE))

    def majority(self) -> Bools:
        """Return for each window whether strictly more than half of all forests call it anomalous."""
        votes = np.stack(list(self.votes.values()))
        return np.asarray(2 * votes.sum(axis=0) > len(votes))

    def false_alarms_per_1000(self, forest: BenchForest) -> float:
        """Return how many of 1,000 windows of the healthy machine a forest calls anomalous."""
        healthy = (self.run.life > FROM_LIFE) & (self.run.life < HEALTHY_LIFE)
        return 1000 * float(self.votes[forest][healthy].mean())

    def detected(self, forest: BenchForest) -> float:
        """Return the share of the windows at the end of life that a forest calls anomalous."""
        return float(self.votes[forest][self.run.life > FAILING_LIFE].mean())


@dataclass(frozen=True)
class Round:
    """The time of one champion, from window `first` on, and the ranks as they were after some of its windows."""

    champion: BenchForest
    first: int
    ranks: tuple[tuple[int, Ranks], ...]

    def until(self, window: int) -> Round:
        """Return the round with its ranks before a window only."""
        return replace(self, ranks=tuple(entry for entry in self.ranks if entry[0] < window))


@dataclass(frozen=True)
class Play:
    """The course of one contest."""

    setting: Setting
    rounds: tuple[Round, ...]

    @property
    def replacements(self) -> int:
        """How often the champion was replaced."""
        return len(self.rounds) - 1

    @property
    def last_champion(self) -> BenchForest:
        """The champion at the end."""
        return self.rounds[-1].champion

    def alarms(self) -> Ints:
        """Return the windows that the champion of the time called anomalous."""
        ends = [*(later.first for later in self.rounds[1:]), len(self.setting.run.life)]
        found = [
            part.first + np.flatnonzero(self.setting.votes[part.champion][part.first : end])
            for part, end in zip(self.rounds, ends, strict=True)
        ]
        return np.concatenate(found)

    @property
    def became_worse(self) -> bool:
        """Whether the last champion raises more false alarms than the first."""
        before, after = map(self.setting.false_alarms_per_1000, (self.setting.champion, self.last_champion))
        return after > before
