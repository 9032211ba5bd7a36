# SPDX-License-Identifier: Apache-2.0
"""What the rows show about a champion and its candidates: a sum over rows, in any order.

A candidate is compared with the champion on the windows that both have evaluated, so a new candidate is
compared on old windows too. A window counts as many times as it stands for, which makes the sums estimates
over all windows, not only over those that were collected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.facts import ContestFacts
from reconciler.contest.persistence import passing
from reconciler.contest.vote import agreement, truth_of
from reconciler.model import Candidate, Contest, DeviceId, ModelPool, SampleLog, VoteRule


@dataclass(frozen=True, slots=True)
class ChampionError:
    """A window of the present round on which the champion and the pool differ."""

    device: DeviceId
    at: datetime
    missed: bool  # True: the champion called it normal; False: a false positive


@dataclass(slots=True)
class CandidateComparison:
    """A candidate and the champion on the windows that both have evaluated."""

    rank: int = 0  # of the present round: +1 for each window on which it agrees with the pool, -1 for each other
    decided: int = 0
    normals: int = 0  # of the log of normal windows
    windows: int = 0  # weighted, as the rest
    false_alarms: int = 0
    missed: int = 0
    champion_false_alarms: int = 0
    champion_missed: int = 0

    @property
    def false_alarm_rate(self) -> Fraction:
        """The share of windows that are false alarms of the candidate."""
        return Fraction(self.false_alarms, self.windows) if self.windows else Fraction(0)

    @property
    def missed_rate(self) -> Fraction:
        """The share of windows that the candidate misses."""
        return Fraction(self.missed, self.windows) if self.windows else Fraction(0)


@dataclass(slots=True)
class Evidence:
    """The sums over rows for one champion, since the round began."""

    champion: Candidate
    round_began: datetime | None  # None: it is not confirmed yet, so no row counts in its round
    comparisons: dict[Candidate, CandidateComparison]
    errors: list[ChampionError] = field(default_factory=list)
    decided: int = 0
    undecided: int = 0
    normals: int = 0

    @classmethod
    def empty(cls, champion: Candidate, round_began: datetime | None, candidates: Collection[Candidate]) -> Evidence:
        """Start without rows."""
        return cls(champion, round_began, {each: CandidateComparison() for each in {*candidates, champion}})

    def add(self, sample: EvaluatedSample, truth: bool | None) -> None:  # noqa: FBT001 (what the window counts as)
        """Add one row."""
        if truth is None:
            self.undecided += 1
            return
        self.decided += 1
        self.normals += sample.log is SampleLog.NORMALS
        in_round = (
            sample.champion == self.champion and self.round_began is not None and sample.received_at > self.round_began
        )
        if in_round and sample.champion_anomalous != truth:
            self.errors.append(ChampionError(sample.device, sample.received_at, missed=truth))
        own = sample.decision_of(self.champion)
        if own is None:
            return
        for candidate, comparison in self.comparisons.items():
            vote = sample.decision_of(candidate)
            if vote is not None:
                _compare(comparison, sample, truth, vote, own)
                if in_round:
                    comparison.rank += 1 if vote == truth else -1

    def forget_errors_before(self, at: datetime) -> None:
        """Drop errors that no longer count, where rows are added in the order of their time."""
        self.errors = [error for error in self.errors if error.at > at]


def _compare(comparison: CandidateComparison, sample: EvaluatedSample, truth: bool, vote: bool, own: bool) -> None:  # noqa: FBT001
    comparison.decided += 1
    comparison.normals += sample.log is SampleLog.NORMALS
    comparison.windows += sample.weight
    comparison.false_alarms += sample.weight * (vote and not truth)
    comparison.missed += sample.weight * (truth and not vote)
    comparison.champion_false_alarms += sample.weight * (own and not truth)
    comparison.champion_missed += sample.weight * (truth and not own)


def gather(contest: Contest, facts: ContestFacts, rows: Collection[EvaluatedSample]) -> Evidence:
    """Sum up rows. The result does not depend on their order."""
    evidence = Evidence.empty(facts.champion, facts.complete_since, facts.candidates)
    for sample, truth in with_truths(contest.pool, facts.voters, rows):
        evidence.add(sample, truth)
    return evidence


def with_truths(
    pool: ModelPool, voters: Collection[Candidate], rows: Collection[EvaluatedSample]
) -> Iterator[tuple[EvaluatedSample, bool | None]]:
    """Yield each row with what it counts as."""
    weights = agreement(rows, voters) if pool.vote is VoteRule.WEIGHTED else None
    truths = [truth_of(sample, pool, voters, weights) for sample in rows]
    if pool.persistence is not None:
        anomalies = [(index, sample) for index, sample in enumerate(rows) if truths[index]]
        for passed in passing([sample for _, sample in anomalies], pool.persistence):
            truths[anomalies[passed][0]] = None
    yield from zip(rows, truths, strict=True)
