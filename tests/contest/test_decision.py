# SPDX-License-Identifier: Apache-2.0
"""Each state of a contest, from rows and facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.contest.decision import Cause, ContestState, ErrorCounts
from reconciler.contest.facts import ContestFacts, Replacement
from reconciler.model import Candidate, DeviceId, ReplacementLimit
from tests.contest.rows import CONTEST, FACTS, RULES, A, B, C, D, E, alarms, at, candidate, decided, row, unsound

S = ContestState
DAY = 24 * 60


def replaced(minutes: float, out: Candidate, into: Candidate, *, proposed: bool = True) -> Replacement:
    return Replacement(at(minutes), out, into, proposed)


def test_five_false_positives_make_a_successor_due() -> None:
    found = decided(unsound())
    assert (found.state, found.cause, found.successor) == (S.DUE, Cause.FALSE_POSITIVES, B)
    assert found.errors == {DeviceId("pump-1"): ErrorCounts(false_positives=5)}
    assert (found.evidence.decided, found.evidence.normals) == (35, 30)
    assert decided(unsound(4)).state is S.WATCHING


def test_five_missed_windows_make_a_successor_due() -> None:
    normal = [row(1 + minute, alarms()) for minute in range(30)]
    missed = [row(60 + minute, alarms(B, C, D, E)) for minute in range(5)]
    found = decided(normal + missed)
    assert (found.state, found.cause, found.successor) == (S.DUE, Cause.MISSED, B)
    assert found.errors == {DeviceId("pump-1"): ErrorCounts(missed=5)}
    assert decided(normal + missed[1:]).state is S.WATCHING


def test_labels_of_people_count_as_the_vote_of_the_pool_does() -> None:
    agreed = [row(60 + minute, alarms(A, B, C)) for minute in range(5)]
    normal = [row(1 + minute, alarms()) for minute in range(30)]
    assert decided(normal + agreed).state is S.WATCHING
    found = decided(normal + [replace(each, label=False) for each in agreed])
    assert (found.state, found.successor) == (S.DUE, D)


# state: (facts, minutes after the round began, rules)
CASES: dict[str, tuple[ContestState, ContestFacts, float, dict[str, Any]]] = {
    "rollout incomplete": (S.SETTLING, replace(FACTS, complete_since=None), 120, {}),
    "tenure not over": (S.SETTLING, FACTS, 59, {}),
    "tenure over": (S.DUE, FACTS, 64, {}),
    "knowledge base lost": (S.SETTLING, replace(FACTS, kept_since=at(61)), 120, {}),
    "tenure over since the loss": (S.DUE, replace(FACTS, kept_since=at(60)), 120, {}),
    "too few windows": (S.TOO_LITTLE_SEEN, FACTS, 120, {"decided": 36}),
    "enough windows": (S.DUE, FACTS, 120, {"decided": 35}),
    "too few normal windows": (S.TOO_LITTLE_SEEN, FACTS, 120, {"normals": 31}),
    "errors too old": (S.WATCHING, FACTS, 61 + DAY, {}),
    "one error too old": (S.WATCHING, FACTS, 60 + DAY, {}),
    "no error too old": (S.DUE, FACTS, 59.9 + DAY, {}),
    "too few devices": (S.WATCHING, FACTS, 120, {"on_devices": 2}),
    "nobody else": (S.NO_SUCCESSOR, replace(FACTS, candidates=(A,)), 120, {}),
    "declined": (S.DECLINED, replace(FACTS, declined=frozenset({B})), 120, {}),
    "another one declined": (S.DUE, replace(FACTS, declined=frozenset({C})), 120, {}),
    "open": (S.OPEN, replace(FACTS, open=B), 120, {}),
    "stopped": (S.ROLLOUT_STOPPED, replace(FACTS, stopped="stopped: 1 failed"), 120, {}),
    "two replacements": (S.DUE, replace(FACTS, replacements=(replaced(-9, D, E), replaced(-8, E, A))), 120, {}),
    "three replacements": (
        S.FLAPPING,
        replace(FACTS, replacements=(replaced(-9, D, E), replaced(-8, E, D), replaced(-7, D, A))),
        120,
        {},
    ),
    "three, one of a person": (
        S.DUE,
        replace(FACTS, replacements=(replaced(-9, D, E), replaced(-8, E, D, proposed=False), replaced(-7, D, A))),
        120,
        {},
    ),
    "three, one long ago": (
        S.DUE,
        replace(FACTS, replacements=(replaced(-30 * DAY, D, E), replaced(-8, E, D), replaced(-7, D, A))),
        120,
        {},
    ),
    "all were champion a short time ago": (
        S.COOLING_DOWN,
        replace(
            FACTS,
            candidates=(A, B, C),
            replacements=(replaced(-9, B, C, proposed=False), replaced(-8, C, A, proposed=False)),
        ),
        120,
        {},
    ),
    "all were champion some time ago": (
        S.DUE,
        replace(FACTS, candidates=(A, B), replacements=(replaced(120 - 7 * DAY, B, A),)),
        120,
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_state_needs_exactly_its_conditions(name: str) -> None:
    state, facts, minutes, rules = CASES[name]
    assert decided(unsound(), minutes, facts=facts, **rules).state is state


def test_a_suspended_contest_decides_nothing() -> None:
    facts = replace(FACTS, open=C, stopped="stopped")
    found = decided(unsound(), contest=replace(CONTEST, suspend=True), facts=facts)
    assert (found.state, found.successor, found.outdated) == (S.SUSPENDED, None, False)


def test_every_state_occurs_in_these_tests() -> None:
    assert {case[0] for case in CASES.values()} | {S.SUSPENDED} == set(S)


@pytest.mark.parametrize(
    ("facts", "minutes", "until"),
    [
        (FACTS, 30, at(60)),
        (replace(FACTS, kept_since=at(100)), 120, at(160)),
        (CASES["three replacements"][1], 120, at(-9 + 30 * DAY)),
        (CASES["all were champion a short time ago"][1], 120, at(-9 + 7 * DAY)),
        (replace(FACTS, complete_since=None), 120, None),
    ],
)
def test_a_state_that_time_alone_ends_says_when(facts: ContestFacts, minutes: float, until: object) -> None:
    assert decided(unsound(), minutes, facts=facts).until == until


# ------------------------------------------------------------ successors


def test_a_successor_is_better_by_the_margin_and_misses_no_more() -> None:
    found = decided(unsound(also=[B]))
    assert (found.state, found.successor) == (S.DUE, C)
    normal = [row(1 + minute, alarms()) for minute in range(30)]
    real = [row(40 + minute, alarms(A, B, C)) for minute in range(3)]
    false = [row(60 + minute, alarms(A)) for minute in range(5)]
    missing_one = replace(real[0], votes={**alarms(A, C, D, E), B: False})
    assert decided([*normal, *real, *false]).successor == B
    assert decided([*normal, *real, missing_one, *false]).successor == C


@pytest.mark.parametrize(("margin", "state"), [(20.0, S.DUE), (20.1, S.NO_SUCCESSOR)])
def test_the_margin_is_exact(margin: float, state: ContestState) -> None:
    rows = [*unsound(4, also=[B]), row(70, alarms(A))]
    facts = replace(FACTS, candidates=(A, B))
    assert decided(rows, facts=facts, margin=margin).state is state


def test_a_rank_of_zero_is_not_enough() -> None:
    normal = [row(-100 + minute, alarms()) for minute in range(30)]  # of an earlier round
    wrong = [row(30 + minute, alarms(B), champion=A) for minute in range(5)]
    right = unsound(5, quiet=0)
    facts = replace(FACTS, candidates=(A, B))
    assert decided(normal + right + wrong[:4], facts=facts, margin=0.0).state is S.NO_SUCCESSOR  # alarms of weight 10
    even = [replace(each, weight=1) for each in wrong]
    assert decided(normal + right + even[:4], facts=facts).state is S.DUE
    assert decided(normal + right + even, facts=facts).state is S.NO_SUCCESSOR


def test_a_false_alarm_on_a_sampled_normal_counts_as_many_windows() -> None:
    one = [row(30, alarms(B))]  # stands for ten windows, against five false alarms of the champion
    assert decided(unsound() + one, facts=replace(FACTS, candidates=(A, B))).state is S.NO_SUCCESSOR


def test_successors_are_ordered_by_rank_rate_threshold_bytes_and_name() -> None:
    assert decided(unsound()).successor == B
    worse_rank = [row(35, alarms(B))]
    assert decided(unsound(12) + worse_rank, margin=0.0).successor == C
    lower = candidate("a", 0.7)
    everyone = (A, B, C, D, lower)
    facts = replace(FACTS, candidates=everyone, voters=frozenset(everyone))
    rows = [replace(each, votes={**each.votes, lower: False}) for each in unsound()]
    assert decided(rows, facts=facts).successor == lower
    assert decided(unsound(), facts=replace(FACTS, bytes_to_send={B: 900, C: 100, D: 500})).successor == C


def test_a_candidate_that_abstains_is_compared_where_it_votes() -> None:
    rows = [replace(each, votes={**each.votes, B: None}) for each in unsound()]
    assert decided(rows).successor == C
    facts = replace(FACTS, candidates=(A, B))
    assert decided(rows, facts=facts).state is S.NO_SUCCESSOR


def test_rows_of_an_earlier_champion_count_for_rates_and_in_no_round() -> None:
    earlier = [replace(each, champion=B) for each in unsound(9)]
    assert decided(earlier).state is S.WATCHING
    found = decided(earlier + unsound(5, quiet=0))
    assert found.state is S.DUE
    assert found.evidence.comparisons[C].champion_false_alarms == 14
    before = [replace(each, received_at=at(-100)) for each in unsound(9)]
    assert decided(before).state is S.WATCHING


# ------------------------------------------------------------ proposals


def test_an_open_proposal_stays_while_it_improves_something() -> None:
    opened = replace(FACTS, open=C)
    assert (decided(unsound(), facts=opened).state, decided(unsound(), facts=opened).successor) == (S.OPEN, C)
    old = decided(unsound(), 3 * DAY, facts=opened)
    assert (old.state, old.successor, old.cause, old.outdated) == (S.OPEN, C, None, False)


def test_an_open_proposal_that_turned_out_worse_is_outdated() -> None:
    rows = unsound() + [row(80 + minute, alarms(C)) for minute in range(3)]
    found = decided(rows, facts=replace(FACTS, open=C))
    assert (found.state, found.successor, found.outdated) == (S.DUE, B, True)
    found = decided(rows[3:], 3 * DAY, facts=replace(FACTS, open=C))
    assert (found.state, found.outdated) == (S.WATCHING, True)


def test_a_proposal_for_what_is_no_candidate_any_more_is_outdated() -> None:
    found = decided(unsound(), facts=replace(FACTS, candidates=(A, B), open=C))
    assert (found.state, found.successor, found.outdated) == (S.DUE, B, True)


@pytest.mark.parametrize(
    ("change", "state", "successor"),
    [
        (lambda facts: facts, S.DUE, B),
        (lambda facts: replace(facts, open=B), S.OPEN, B),
        (lambda facts: replace(facts, declined=frozenset({B})), S.DECLINED, B),
        (lambda facts: replace(facts, candidates=(A, C)), S.ROLLOUT_STOPPED, None),
        (lambda facts: replace(facts, replacements=(replaced(-9, B, A, proposed=False),)), S.ROLLOUT_STOPPED, None),
        (lambda facts: replace(facts, champion=D), S.ROLLOUT_STOPPED, None),
    ],
)
def test_a_champion_whose_rollout_stops_gives_way_to_the_one_before(
    change: Callable[[ContestFacts], ContestFacts], state: ContestState, successor: Candidate | None
) -> None:
    stopped = replace(FACTS, complete_since=None, stopped="stopped: 1 failed", replacements=(replaced(-9, B, A),))
    found = decided([], facts=change(stopped))
    assert (found.state, found.successor, found.cause) == (state, successor, Cause.ROLLOUT_STOPPED)


def test_the_limit_of_replacements_is_that_of_the_contest() -> None:
    facts = replace(FACTS, replacements=(replaced(-9, D, A),))
    assert decided(unsound(), facts=facts, at_most=ReplacementLimit(1, 86_400)).state is S.FLAPPING
    assert decided(unsound(), facts=facts).replaced == 1
    assert RULES.at_most.count == 3
