# SPDX-License-Identifier: Apache-2.0
"""The vote of the pool on one window: what a window counts as, or that it stays undecided."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.model import Candidate, ModelPool, Tie, VoteRule

Weights = Mapping[Candidate, Fraction]
EVEN = Fraction(1, 2)  # the weight of a model of which no window has a label


def truth_of(
    sample: EvaluatedSample, pool: ModelPool, voters: Collection[Candidate], weights: Weights | None = None
) -> bool | None:
    """Return whether a window counts as anomalous; None: undecided. The label of a person overrides the pool."""
    if sample.label is not None:
        return sample.label
    votes = _votes(sample, voters)
    return _outcome(votes, pool, weights or {}) if len(votes) >= pool.quorum else None


def has_quorum(sample: EvaluatedSample, pool: ModelPool, voters: Collection[Candidate]) -> bool:
    """Return whether enough models have voted: the window is decided, or the pool does not agree on it."""
    return len(_votes(sample, voters)) >= pool.quorum


def agreement(samples: Iterable[EvaluatedSample], voters: Collection[Candidate]) -> Weights:
    """Return how often each voter agrees with people's labels.

    One agreement and one disagreement are added (Laplace), so that a single label does not silence a model.
    """
    agreed, seen = dict.fromkeys(voters, 1), dict.fromkeys(voters, 2)
    for sample in samples:
        if sample.label is not None:
            for voter in voters:
                vote = sample.votes.get(voter)
                if vote is not None:
                    agreed[voter] += vote == sample.label
                    seen[voter] += 1
    return {voter: Fraction(agreed[voter], seen[voter]) for voter in voters}


def _votes(sample: EvaluatedSample, voters: Collection[Candidate]) -> Mapping[Candidate, bool]:
    return {voter: vote for voter in voters if (vote := sample.votes.get(voter)) is not None}


def _outcome(votes: Mapping[Candidate, bool], pool: ModelPool, weights: Weights) -> bool | None:
    anomalous = sum(votes.values())
    match pool.vote:
        case VoteRule.ANY:
            return anomalous > 0
        case VoteRule.ALL:
            return anomalous == len(votes)
        case VoteRule.AT_LEAST:
            return anomalous >= (pool.at_least or 1)
        case VoteRule.MAJORITY:
            return _larger(Fraction(anomalous), Fraction(len(votes) - anomalous), pool)
        case VoteRule.WEIGHTED:
            total = sum((weights.get(voter, EVEN) for voter in votes), Fraction(0))
            for_it = sum((weights.get(voter, EVEN) for voter, vote in votes.items() if vote), Fraction(0))
            return _larger(for_it, total - for_it, pool)


def _larger(anomalous: Fraction, normal: Fraction, pool: ModelPool) -> bool | None:
    """Return what the larger side says, if it is large enough: on a window that splits the pool, it is often wrong."""
    if anomalous == normal:
        return {Tie.UNDECIDED: None, Tie.ANOMALY: True, Tie.NORMAL: False}[pool.tie]
    agreeing = max(anomalous, normal)
    return None if 100 * agreeing < Fraction(pool.agreement) * (anomalous + normal) else anomalous > normal
