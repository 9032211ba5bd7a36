# SPDX-License-Identifier: Apache-2.0
"""The experiment of Tiny-MLOps: four bearings, four forests that are champion first, two rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from bench.bearings.dataset import BearingRun
from bench.contest.forests import BenchForest, Bools, all_forests, decisions
from bench.contest.literal_rule import play_literally
from bench.contest.our_rules import CONTEST, play_by_our_rules
from bench.contest.play import Play, Setting
from reconciler.model import Contest

FIRST_CHAMPIONS = (BenchForest(0, 10), BenchForest(1, 10), BenchForest(2, 50), BenchForest(3, 10))
FAILING_BEARINGS = (2, 3)

VotesOf = Mapping[BenchForest, Bools]


@dataclass(frozen=True)
class Experiment:
    """All contests of one run to failure, under both rules."""

    literal: Sequence[Play]
    ours: Sequence[Play]
    plain: Sequence[Play]  # our rules, where more than half of the pool decides, however narrowly

    def figures(self) -> dict[str, float]:
        """Return what the contests came to, by name."""
        before = [play.setting.false_alarms_per_1000(play.setting.champion) for play in self.ours]
        return {
            "contests": len(self.ours),
            "false_alarms_per_1000_before": fmean(before),
            **_replacements("literal", self.literal),
            "literal_false_alarms_per_1000_after": fmean(map(_after, self.literal)),
            **_replacements("plain", self.plain),
            "plain_false_alarms_per_1000_after": fmean(map(_after, self.plain)),
            **_replacements("ours", self.ours),
            "false_alarms_per_1000_after": fmean(map(_after, self.ours)),
            **{f"detects_failing_b{bearing + 1}": self._detected(bearing) for bearing in FAILING_BEARINGS},
        }

    def _detected(self, bearing: int) -> float:
        """Return the share of the last windows of a failing bearing that the worst last champion finds."""
        return min(play.setting.detected(play.last_champion) for play in self.ours if play.setting.bearing == bearing)


def _replacements(rule: str, plays: Sequence[Play]) -> dict[str, float]:
    return {
        f"{rule}_replacements_mean": fmean(play.replacements for play in plays),
        f"{rule}_replacements_max": max(play.replacements for play in plays),
        f"{rule}_worse": sum(play.became_worse for play in plays),
    }


def _after(play: Play) -> float:
    return play.setting.false_alarms_per_1000(play.last_champion)


def votes_on(run: BearingRun, packs: Mapping[BenchForest, bytes]) -> list[VotesOf]:
    """Return for each bearing what each forest calls its windows."""
    every = np.concatenate(list(run.windows))
    called = {forest: np.split(decisions(pack, every), len(run.windows)) for forest, pack in packs.items()}
    return [{forest: votes[bearing] for forest, votes in called.items()} for bearing in range(len(run.windows))]


def experiment(run: BearingRun, votes: Sequence[VotesOf], contest: Contest = CONTEST) -> Experiment:
    """Play all contests."""
    plain = replace(contest, pool=replace(contest.pool, agreement=50))
    settings = [
        Setting(run, bearing, on_bearing, champion)
        for bearing, on_bearing in enumerate(votes)
        for champion in FIRST_CHAMPIONS
    ]
    return Experiment(
        [play_literally(setting) for setting in settings],
        [play_by_our_rules(setting, contest) for setting in settings],
        [play_by_our_rules(setting, plain) for setting in settings],
    )


def trained_and_played(run: BearingRun) -> Experiment:
    """Train all forests on a run, and play all contests."""
    return experiment(run, votes_on(run, all_forests(run)))
