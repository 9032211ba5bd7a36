# SPDX-License-Identifier: Apache-2.0
"""What other rules would have decided over the same rows."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from reconciler.contest.decision import ContestState
from reconciler.contest.replay import replay
from reconciler.model import Candidate, ReplacementLimit
from tests.contest.paper_rule import champions
from tests.contest.rows import CONTEST, EVERYONE, FACTS, A, B, C, D, E, alarms, at, decided, row, unsound

SOON = replace(CONTEST, replace=replace(CONTEST.replace, tenure_s=1, not_again_for_s=1))


def changed(**rules: Any) -> Any:  # noqa: ANN401 (any rule)
    return replace(SOON, replace=replace(SOON.replace, **rules))


def noisy(seed: int, count: int = 2000) -> list[Any]:
    """Return windows of a healthy machine, which each candidate mistakes for failures at its own rate."""
    chance = random.Random(seed)
    rates = {A: 0.12, B: 0.1, C: 0.08, D: 0.02, E: 0.005}
    rows = []
    for minute in range(count):
        votes = {each: chance.random() < rate for each, rate in rates.items()}
        rows.append(row(1 + minute, votes))
    return rows


def test_the_same_rules_find_the_replacement_at_the_row_at_which_it_was_due() -> None:
    rows = unsound(8)
    first = next(
        each.received_at
        for number, each in enumerate(rows)
        if decided(rows[: number + 1], (each.received_at - at(0)).total_seconds() / 60, contest=SOON).state
        is ContestState.DUE
    )
    (change,) = replay(SOON, FACTS, rows).replacements
    assert (change.at, change.out, change.into, change.proposed) == (first, A, B, True)
    assert first == at(64)


def test_stricter_rules_replace_later_or_never() -> None:
    rows = unsound(8)
    assert [len(replay(changed(false_positives=count), FACTS, rows).replacements) for count in (4, 8, 9)] == [1, 1, 0]
    assert replay(changed(false_positives=8), FACTS, rows).replacements[0].at == at(67)


def test_the_errors_of_each_champion_are_counted_while_it_is_one() -> None:
    outcome = replay(SOON, FACTS, unsound(8))
    assert (outcome.champion, outcome.windows, outcome.false_alarms, outcome.missed) == (B, 308, 5, 0)
    kept = replay(changed(false_positives=99), FACTS, unsound(8))
    assert (kept.champion, kept.windows, kept.false_alarms) == (A, 308, 8)


def test_the_order_of_rows_does_not_matter() -> None:
    rows = noisy(1)
    expected = replay(SOON, FACTS, rows)
    random.Random(2).shuffle(rows)
    assert replay(SOON, FACTS, rows) == expected
    assert expected.replacements


def test_history_before_the_rows_is_not_used() -> None:
    facts = replace(FACTS, stopped="stopped", open=C, declined=frozenset({B}), complete_since=None)
    assert replay(SOON, facts, unsound(8)) == replay(SOON, FACTS, unsound(8))


def test_limits_hold_in_a_replay_too() -> None:
    loose = {"margin": 0.0, "decided": 1, "normals": 0, "at_most": ReplacementLimit(1, 86_400 * 30)}
    assert len(replay(changed(**loose), FACTS, noisy(3)).replacements) == 1


def test_no_rows_change_nothing() -> None:
    outcome = replay(SOON, FACTS, [])
    assert (outcome.champion, outcome.replacements, outcome.windows) == (A, (), 0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("first", EVERYONE)
def test_the_literal_rule_flaps_where_ours_settles(seed: int, first: Candidate) -> None:
    rows = noisy(seed)
    literal = champions(rows, first, EVERYONE, CONTEST.pool)
    ours = replay(SOON, replace(FACTS, champion=first), rows)
    assert len(literal) - 1 > 7
    assert len(set(literal)) < len(literal)  # it returns to what it has replaced
    assert len(ours.replacements) <= 3
    assert ours.champion in {D, E}
    assert len({change.out for change in ours.replacements}) == len(ours.replacements)


def test_a_champion_that_alarms_where_another_does_not_is_not_replaced_by_it() -> None:
    """Seen only through the champion's alarms, the other one always seems better."""
    rows = [row(minute, alarms(A if minute % 2 else B)) for minute in range(1, 200)]
    facts = replace(FACTS, candidates=(A, B))
    literal = champions(rows, A, (A, B), CONTEST.pool)
    assert len(literal) > 10
    assert literal[1:3] == [B, A]
    assert replay(SOON, facts, rows).replacements == ()
