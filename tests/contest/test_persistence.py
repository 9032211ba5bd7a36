# SPDX-License-Identifier: Apache-2.0
"""Anomalies that pass: they stay undecided, so nobody has missed them."""

from __future__ import annotations

from dataclasses import replace

from reconciler.contest.decision import ContestState
from reconciler.contest.evidence import gather, with_truths
from reconciler.contest.persistence import passing
from reconciler.model import Persistence
from tests.contest.rows import CONTEST, EVERYONE, FACTS, A, B, C, D, E, alarms, decided, row, unsound

LASTING = Persistence(3, 30 * 60)
PERSISTENT = replace(CONTEST, pool=replace(CONTEST.pool, persistence=LASTING))


def test_anomalies_last_that_arrive_together_from_one_device() -> None:
    anomalies = [row(minute, alarms(A)) for minute in (100, 110, 130, 200)]
    assert passing(anomalies, LASTING) == {3}
    assert passing(anomalies[::-1], LASTING) == {0}  # whatever their order
    assert passing(anomalies, Persistence(3, 30 * 60 - 1)) == {0, 1, 2, 3}
    assert passing([*anomalies[:2], row(130, alarms(A), device="pump-2")], LASTING) == {0, 1, 2}


def test_the_label_of_a_person_lasts_and_makes_others_last() -> None:
    anomalies = [row(100, alarms(A), label=True), row(101, alarms(A)), row(300, alarms(A), label=True)]
    assert passing(anomalies, LASTING) == {1}
    assert passing(anomalies, Persistence(2, 60)) == frozenset()


def test_what_passes_is_undecided_and_the_rest_as_without_persistence() -> None:
    rows = [row(1, alarms()), row(2, alarms(A, B, C, D)), *[row(60 + each, alarms(A, B, C)) for each in range(3)]]
    assert [truth for _, truth in with_truths(PERSISTENT.pool, EVERYONE, rows)] == [False, None, True, True, True]
    assert [truth for _, truth in with_truths(CONTEST.pool, EVERYONE, rows)] == [False, True, True, True, True]
    evidence = gather(PERSISTENT, FACTS, rows)
    assert (evidence.undecided, evidence.comparisons[B].missed) == (1, 0)


def test_a_successor_may_miss_what_passes_and_nothing_that_lasts() -> None:
    """E raises no false alarm, and misses what all others find."""
    only = replace(FACTS, candidates=(A, E))
    knock = [*unsound(), row(70, alarms(A, B, C, D))]
    fault = [*knock, row(71, alarms(A, B, C, D)), row(72, alarms(A, B, C, D))]
    assert decided(knock, facts=only).state is ContestState.NO_SUCCESSOR
    assert decided(knock, facts=only, contest=PERSISTENT).successor == E
    assert decided(fault, facts=only, contest=PERSISTENT).state is ContestState.NO_SUCCESSOR
