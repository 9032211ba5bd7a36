# SPDX-License-Identifier: Apache-2.0
"""The paper's rule to the letter: after five false positives, the candidate with the best rank is champion.

Only what the champion calls anomalous reaches the pool. Each candidate gains a point when it agrees with the majority
and loses one when it does not. The champion's false positives are those that the majority calls normal. After a
replacement, ranks and false positives start at zero.
"""

from __future__ import annotations

from bench.contest.forests import BenchForest, Bools
from bench.contest.play import Play, Ranks, Round, Setting

FALSE_POSITIVES = 5


def play_literally(setting: Setting) -> Play:
    """Play one contest under the paper's rule."""
    majority = setting.majority()
    rounds: list[Round] = []
    champion, first = setting.champion, setting.first
    while True:
        ranks, successor, window = _until_replaced(setting, majority, champion, first)
        rounds.append(Round(champion, first, ranks))
        if successor is None:
            return Play(setting, tuple(rounds))
        champion, first = successor, window + 1


def _until_replaced(
    setting: Setting, majority: Bools, champion: BenchForest, first: int
) -> tuple[tuple[tuple[int, Ranks], ...], BenchForest | None, int]:
    """Return the ranks from a window on, and who replaces the champion after which window."""
    ranks = dict.fromkeys(setting.votes, 0)
    history: list[tuple[int, Ranks]] = []
    false_positives = 0
    for window in range(first, len(majority)):
        if not setting.votes[champion][window]:
            continue
        for forest, votes in setting.votes.items():
            ranks[forest] += 1 if votes[window] == majority[window] else -1
        history.append((window, dict(ranks)))
        false_positives += not majority[window]
        if false_positives >= FALSE_POSITIVES and (successor := _best(ranks, champion)):
            return tuple(history), successor, window
    return tuple(history), None, len(majority)


def _best(ranks: Ranks, champion: BenchForest) -> BenchForest | None:
    """Return the best of the others, the smallest of equals; None if none agrees more often than not."""
    others = [forest for forest in ranks if forest != champion and ranks[forest] > 0]
    return max(others, key=lambda forest: (ranks[forest], -forest.trees), default=None)
