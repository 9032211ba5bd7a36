# SPDX-License-Identifier: Apache-2.0
"""The promises of a decision: it does not depend on order, and whatever is lost or stricter only delays it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.contest.decision import ContestState
from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.contest.evidence import Evidence, gather, with_truths
from reconciler.model import ModelPool, ReplacementLimit, ReplacementRules, Tie, VoteRule
from tests.contest.rows import CONTEST, EVERY, EVERYONE, FACTS, A, B, at, decided, row

S = ContestState
LOOSE = ReplacementRules(
    false_positives=2, false_negatives=2, within_s=7200, tenure_s=1800, decided=6, normals=1, margin=10.0
)
END = 120
votes = st.lists(st.sampled_from([True, False, False, None]), min_size=5, max_size=5)
pools = st.builds(
    ModelPool,
    vote=st.sampled_from(VoteRule),
    at_least=st.integers(1, 4),
    tie=st.sampled_from(Tie),
    agreement=st.sampled_from([50.0, 66.0, 80.0]),
    quorum=st.integers(1, 4),
)


@st.composite
def windows(draw: st.DrawFn) -> EvaluatedSample:
    drawn = dict(zip(EVERYONE, draw(votes), strict=True))
    champion = draw(st.sampled_from([A, A, A, B]))
    device = draw(st.sampled_from(["pump-1", "pump-2"]))
    label = draw(st.sampled_from([None, None, None, True, False]))
    return row(draw(st.integers(1, END)), drawn, champion=champion, device=device, label=label)


rows = st.lists(windows(), max_size=30)
# Rows that make a champion unsound are rare among random ones, so these are added to them.
likely = st.tuples(rows, st.integers(0, 4)).map(
    lambda drawn: [
        *drawn[0],
        *(row(70 + minute, {each: each == A for each in EVERYONE}) for minute in range(drawn[1])),
        *(row(10 + minute, dict.fromkeys(EVERYONE, False)) for minute in range(drawn[1])),
    ]
)


def contest(pool: ModelPool | None = None, **rules: Any) -> Any:  # noqa: ANN401 (any rule)
    return replace(CONTEST, pool=pool or CONTEST.pool, replace=replace(LOOSE, **rules))


@given(likely, pools, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(sample: list[EvaluatedSample], pool: ModelPool, chance: Any) -> None:  # noqa: ANN401
    expected = decided(sample, END, contest=contest(pool))
    shuffled = sample.copy()
    chance.shuffle(shuffled)
    found = decided(shuffled, END, contest=contest(pool))
    assert replace(found, evidence=expected.evidence) == expected
    assert found.evidence.comparisons == expected.evidence.comparisons


@given(likely, pools)
def test_adding_rows_one_by_one_is_the_same_as_gathering_them(sample: list[EvaluatedSample], pool: ModelPool) -> None:
    made = contest(pool)
    evidence = Evidence.empty(FACTS.champion, FACTS.complete_since, FACTS.candidates)
    for each, truth in with_truths(made.pool, FACTS.voters, sample):
        evidence.add(each, truth)
    assert evidence == gather(made, FACTS, sample)


@given(likely, st.data(), pools.filter(lambda pool: pool.vote is not VoteRule.WEIGHTED))
def test_losing_rows_never_makes_a_sound_champion_unsound(
    sample: list[EvaluatedSample], data: st.DataObject, pool: ModelPool
) -> None:
    left = [each for each in sample if data.draw(st.booleans())]
    before = decided(sample, END, contest=contest(pool))
    after = decided(left, END, contest=contest(pool))
    for device, count in after.errors.items():
        assert count.false_positives <= before.errors[device].false_positives
        assert count.missed <= before.errors[device].missed
    if before.state is S.WATCHING:
        assert after.state is S.WATCHING


@settings(max_examples=40)
@given(likely, st.integers(0, END))
def test_losing_the_knowledge_base_only_delays(sample: list[EvaluatedSample], lost_at: int) -> None:
    """The tenure starts again, and until it is over nothing is proposed."""
    left = [each for each in sample if each.received_at > at(lost_at)]
    facts = replace(FACTS, kept_since=at(lost_at))
    tenure = LOOSE.tenure_s / 60
    for minutes in range(lost_at, END, 10):
        so_far = [each for each in left if each.received_at <= at(minutes)]
        state = decided(so_far, minutes, contest=contest(), facts=facts).state
        if minutes < lost_at + tenure:
            assert state is S.SETTLING
        elif state is S.DUE:
            known = [each for each in sample if each.received_at <= at(minutes)]
            assert decided(known, minutes, contest=contest()).cause is not None


STRICTER: list[tuple[str, list[Any]]] = [
    ("false_positives", [2, 3, 5]),
    ("false_negatives", [2, 3, 5]),
    ("on_devices", [1, 2]),
    ("within_s", [7200, 3600, 60]),
    ("tenure_s", [1800, 7201]),
    ("decided", [3, 6, 40]),
    ("normals", [1, 5, 20]),
    ("margin", [0.0, 20.0, 100.0]),
    ("at_most", [ReplacementLimit(2, 86_400), ReplacementLimit(1, 86_400)]),
]


@given(likely, st.sampled_from(STRICTER), st.data())
def test_a_stricter_rule_never_makes_a_replacement_due(
    sample: list[EvaluatedSample], rule: tuple[str, list[Any]], data: st.DataObject
) -> None:
    name, values = rule
    strict = data.draw(st.integers(1, len(values) - 1))
    loose = data.draw(st.integers(0, strict - 1))
    found = [decided(sample, END, contest=contest(**{name: values[index]})).state for index in (loose, strict)]
    assert found[1] is not S.DUE or found[0] is S.DUE


@given(likely)
def test_a_successor_is_never_worse_on_the_windows_that_both_decided(sample: list[EvaluatedSample]) -> None:
    found = decided(sample, END, contest=contest())
    if found.successor is not None:
        comparison = found.evidence.comparisons[found.successor]
        assert comparison.rank > 0
        assert comparison.false_alarms <= comparison.champion_false_alarms
        assert comparison.missed <= comparison.champion_missed
        assert (
            comparison.false_alarms + comparison.missed < comparison.champion_false_alarms + comparison.champion_missed
        )


def test_the_random_rows_reach_every_state_that_rows_decide() -> None:
    """Otherwise the properties above would hold for want of cases."""
    found: set[ContestState] = set()

    @given(likely)
    def collect(sample: list[EvaluatedSample]) -> None:
        found.add(decided(sample, END, contest=contest()).state)

    collect()
    assert found == {S.WATCHING, S.TOO_LITTLE_SEEN, S.NO_SUCCESSOR, S.DUE}
    assert EVERY > 1
