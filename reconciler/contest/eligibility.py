# SPDX-License-Identifier: Apache-2.0
"""Which candidates may succeed the champion, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from reconciler.contest.evidence import CandidateComparison, Evidence
from reconciler.contest.facts import ContestFacts
from reconciler.model import Candidate, ReplacementRules

UNKNOWN_BYTES = 2**31  # sorts after every candidate whose transfer is known


class Shortcoming(StrEnum):
    """Why a candidate is not eligible."""

    TOO_LITTLE_SEEN = "too little seen"
    RANK = "its rank is not above 0"
    FALSE_ALARMS = "too many false alarms"
    MISSED = "it misses too many"


@dataclass(frozen=True, slots=True)
class ChampionFaults:
    """Of what the champion has too many."""

    false_positives: bool
    missed: bool


def shortcoming(comparison: CandidateComparison, rules: ReplacementRules, faults: ChampionFaults) -> Shortcoming | None:
    """Return why a candidate cannot succeed the champion; None: it can.

    It must be better by the margin in what the champion has too many of, and no worse in the other.
    """
    if comparison.decided < rules.decided or comparison.normals < rules.normals:
        return Shortcoming.TOO_LITTLE_SEEN
    if comparison.rank <= 0:
        return Shortcoming.RANK
    better_alarms = _below(comparison.false_alarms, comparison.champion_false_alarms, rules.margin)
    better_missed = _below(comparison.missed, comparison.champion_missed, rules.margin)
    no_more_alarms = comparison.false_alarms <= comparison.champion_false_alarms
    no_more_missed = comparison.missed <= comparison.champion_missed
    if (faults.false_positives and better_alarms and no_more_missed) or (
        faults.missed and better_missed and no_more_alarms
    ):
        return None
    worse_alarms = not (better_alarms if faults.false_positives else no_more_alarms)
    return Shortcoming.FALSE_ALARMS if worse_alarms else Shortcoming.MISSED


def worth_sharing(comparison: CandidateComparison, rules: ReplacementRules) -> bool:
    """Return whether a model that is not a candidate does better than the champion, by the margin, and nowhere worse.

    It has no rank: that is about the windows on which the champion decided, and a forest that a device has grown
    decides there instead.
    """
    if comparison.decided < rules.decided or comparison.normals < rules.normals:
        return False
    better_alarms = _below(comparison.false_alarms, comparison.champion_false_alarms, rules.margin)
    better_missed = _below(comparison.missed, comparison.champion_missed, rules.margin)
    no_more_alarms = comparison.false_alarms <= comparison.champion_false_alarms
    no_more_missed = comparison.missed <= comparison.champion_missed
    return (better_alarms and no_more_missed) or (better_missed and no_more_alarms)


def successors(
    evidence: Evidence, facts: ContestFacts, rules: ReplacementRules, faults: ChampionFaults
) -> tuple[Candidate, ...]:
    """Return the eligible candidates, the best first.

    The order is: the highest rank, the lowest rate of false alarms, another threshold before another model, the
    fewest bytes to send, the name.
    """

    def order(candidate: Candidate) -> tuple[int, Fraction, bool, int, Candidate]:
        comparison = evidence.comparisons[candidate]
        return (
            -comparison.rank,
            comparison.false_alarm_rate,
            candidate.model != facts.champion.model,
            facts.bytes_to_send.get(candidate, UNKNOWN_BYTES),
            candidate,
        )

    eligible = [
        candidate
        for candidate in facts.candidates
        if candidate != facts.champion and shortcoming(evidence.comparisons[candidate], rules, faults) is None
    ]
    return tuple(sorted(eligible, key=order))


def _below(value: int, limit: int, margin: float) -> bool:
    """Return whether a value is at most `limit` less the margin in percent, and really below it."""
    return value < limit and value * 100 <= limit * (100 - Fraction(margin))
