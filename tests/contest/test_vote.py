# SPDX-License-Identifier: Apache-2.0
"""The vote of the pool."""

from __future__ import annotations

from fractions import Fraction

import pytest

from reconciler.contest.vote import agreement, truth_of
from reconciler.model import Candidate, ModelPool, Tie, VoteRule
from tests.contest.rows import EVERYONE, A, B, C, D, E, alarms, row

FOUR = (A, B, C, D)


@pytest.mark.parametrize(
    ("rule", "outcomes"),
    [
        (VoteRule.MAJORITY, (False, False, None, True, True)),
        (VoteRule.WEIGHTED, (False, False, None, True, True)),
        (VoteRule.ANY, (False, True, True, True, True)),
        (VoteRule.ALL, (False, False, False, False, True)),
        (VoteRule.AT_LEAST, (False, False, False, True, True)),
    ],
)
def test_each_rule_decides_by_the_number_of_votes_for_an_anomaly(
    rule: VoteRule, outcomes: tuple[bool | None, ...]
) -> None:
    pool = ModelPool(vote=rule, at_least=3)
    found = tuple(truth_of(row(1, alarms(*FOUR[:count])), pool, FOUR) for count in range(5))
    assert found == outcomes


@pytest.mark.parametrize(("tie", "outcome"), [(Tie.UNDECIDED, None), (Tie.ANOMALY, True), (Tie.NORMAL, False)])
@pytest.mark.parametrize("rule", [VoteRule.MAJORITY, VoteRule.WEIGHTED])
def test_a_tie_counts_as_configured(rule: VoteRule, tie: Tie, outcome: bool | None) -> None:  # noqa: FBT001 (a row)
    assert truth_of(row(1, alarms(A, B)), ModelPool(vote=rule, tie=tie), FOUR) is outcome


@pytest.mark.parametrize("rule", [VoteRule.MAJORITY, VoteRule.WEIGHTED])
@pytest.mark.parametrize(
    ("agreement", "outcomes"),
    [
        (50.0, (False, False, False, True, True, True)),
        (60.0, (False, False, False, True, True, True)),
        (60.1, (False, False, None, None, True, True)),
        (66.0, (False, False, None, None, True, True)),
        (100.0, (False, None, None, None, None, True)),
    ],
)
def test_a_window_that_splits_the_pool_stays_undecided(
    rule: VoteRule, agreement: float, outcomes: tuple[bool | None, ...]
) -> None:
    pool = ModelPool(vote=rule, agreement=agreement)
    found = tuple(truth_of(row(1, alarms(*EVERYONE[:count])), pool, EVERYONE) for count in range(6))
    assert found == outcomes


def test_two_of_three_agree_enough_by_default() -> None:
    assert truth_of(row(1, alarms(A, B, among=(A, B, C))), ModelPool(), (A, B, C)) is True


def test_abstentions_do_not_count_towards_the_quorum() -> None:
    votes: dict[Candidate, bool | None] = {A: True, B: True, C: None, D: None}
    assert truth_of(row(1, votes), ModelPool(quorum=3), FOUR) is None
    assert truth_of(row(1, votes), ModelPool(quorum=2), FOUR) is True
    assert truth_of(row(1, votes), ModelPool(quorum=2, vote=VoteRule.ALL), FOUR) is True


def test_only_voters_vote() -> None:
    votes = alarms(A, B, C)
    assert truth_of(row(1, votes), ModelPool(agreement=50), EVERYONE) is True
    assert truth_of(row(1, votes), ModelPool(), (C, D, E)) is False


def test_the_label_of_a_person_overrides_the_pool_and_needs_no_quorum() -> None:
    assert truth_of(row(1, alarms(*FOUR), label=False), ModelPool(), FOUR) is False
    assert truth_of(row(1, {}, label=True), ModelPool(), FOUR) is True


def test_models_that_agree_with_people_outweigh_a_majority() -> None:
    labelled = [row(minute, alarms(A, B), label=False) for minute in range(10)]
    weights = agreement(labelled, FOUR)
    assert weights == {A: Fraction(1, 12), B: Fraction(1, 12), C: Fraction(11, 12), D: Fraction(11, 12)}
    pool = ModelPool(vote=VoteRule.WEIGHTED)
    assert truth_of(row(20, alarms(A, B, among=(A, B, C))), pool, FOUR, weights) is False
    assert truth_of(row(20, alarms(A, B, among=(A, B, C))), ModelPool(), FOUR, weights) is True
    assert truth_of(row(20, alarms(A, B, among=(A, B, C))), pool, FOUR) is True


def test_an_abstention_is_neither_agreement_nor_disagreement() -> None:
    votes: dict[Candidate, bool | None] = {A: None, B: True}
    assert agreement([row(1, votes, label=True)], (A, B)) == {A: Fraction(1, 2), B: Fraction(2, 3)}
