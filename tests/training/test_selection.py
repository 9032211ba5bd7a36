# SPDX-License-Identifier: Apache-2.0
"""Which windows a training uses: a truth, an age, a share of the newest that is held out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.contest.evaluated_sample import EvaluatedSample
from reconciler.model import (
    Candidate,
    DeviceId,
    ModelRef,
    Persistence,
    SampleLog,
    TrainingData,
    TruthSource,
    UndecidedUse,
    Version,
    WindowLabel,
)
from reconciler.training.selection import KnownWindow, RowCounts, RowUse, count, select, shortage
from tests.training.documents import NOON, PUMP

CHAMPION = Candidate(ModelRef("forest", Version("1")), 0.6)
NORMAL, ANOMALOUS = WindowLabel.NORMAL, WindowLabel.ANOMALOUS


def row(number: int, *, truth: bool | None = False, label: bool | None = None, age_s: int = 0) -> KnownWindow:
    at = NOON - timedelta(seconds=age_s) if age_s else NOON + timedelta(seconds=number)
    said = EvaluatedSample(PUMP, at, SampleLog.NORMALS, 10, CHAMPION, False, label, {})  # noqa: FBT003 - its decision
    return KnownWindow(number, said, truth if label is None else label)


def uses(rows: Iterable[KnownWindow], data: TrainingData) -> dict[int, RowUse]:
    return {each.number: each.use for each in select(rows, data, NOON + timedelta(hours=1))}


def test_the_newest_are_held_out() -> None:
    found = uses([row(number) for number in range(10)], TrainingData(holdout=30))
    assert [number for number, use in found.items() if use is RowUse.EVALUATE] == [7, 8, 9]


def test_what_is_not_trained_on_is_evaluated_on_whenever_it_arrived() -> None:
    rows = [row(number, truth=number == 2) for number in range(10)]
    assert uses(rows, TrainingData(holdout=30))[2] is RowUse.EVALUATE
    both = TrainingData(labels=(NORMAL, ANOMALOUS), holdout=30)
    assert uses(rows, both)[2] is RowUse.TRAIN


def test_of_each_kind_the_newest_are_held_out() -> None:
    """The newest windows of a machine that fails are all anomalous: none of them could be a false alarm."""
    rows = [row(number, truth=number >= 10) for number in range(20)]
    both = uses(rows, TrainingData(labels=(NORMAL, ANOMALOUS), holdout=30))
    assert [number for number, use in both.items() if use is RowUse.EVALUATE] == [7, 8, 9, 17, 18, 19]
    alone = uses(rows, TrainingData(holdout=30))
    assert [number for number, use in alone.items() if use is RowUse.TRAIN] == [0, 1, 2, 3, 4, 5, 6]


def test_windows_on_which_the_pool_does_not_agree_count_as_normal() -> None:
    rows = [row(1), row(2, truth=None), replace(row(3, truth=None), voted=False), row(4, truth=True)]

    def found(data: TrainingData) -> dict[int, bool]:
        return {each.number: each.anomalous for each in select(rows, data, NOON + timedelta(hours=1))}

    assert found(TrainingData()) == {1: False, 2: False, 4: True}
    assert found(TrainingData(undecided=UndecidedUse.OMIT)) == {1: False, 4: True}
    assert found(TrainingData(by=(TruthSource.PERSON,))) == {}


def test_anomalies_that_pass_are_left_out_unless_a_person_has_seen_them() -> None:
    lasting = [row(number, truth=True) for number in (100, 110, 130)]
    alone = [row(200, truth=True), row(300, label=True), row(310), row(320, truth=True)]
    other = replace(row(115, truth=True), sample=replace(row(115).sample, device=DeviceId("pump-2")))
    every = [*lasting, *alone, other]

    def anomalies(persistence: Persistence | None) -> set[int]:
        found = select(every, TrainingData(persistence=persistence), NOON + timedelta(hours=1))
        assert 310 in {each.number for each in found}
        return {each.number for each in found if each.anomalous}

    assert anomalies(Persistence(3, 30)) == {100, 110, 130, 300}
    assert anomalies(Persistence(3, 29)) == {300}
    assert anomalies(Persistence(2, 20)) == {100, 110, 130, 300, 320}  # the label of a person is one of two
    assert anomalies(None) == {100, 110, 115, 130, 200, 300, 320}


def test_windows_that_nobody_has_evaluated_or_that_are_too_old_are_left_out() -> None:
    rows = [row(1), replace(row(2, truth=None), voted=False), row(3, age_s=3 * 86_400)]
    assert uses(rows, TrainingData(last_s=2 * 86_400)).keys() == {1}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ((TruthSource.PERSON,), {1: True}),
        ((TruthSource.POOL,), {2: False}),
        ((TruthSource.PERSON, TruthSource.POOL), {1: True, 2: False}),
    ],
)
def test_only_the_word_of_those_who_are_named_counts(by: tuple[TruthSource, ...], expected: dict[int, bool]) -> None:
    data = TrainingData(labels=(NORMAL, ANOMALOUS), by=by)
    found = select([row(1, label=True), row(2)], data, NOON + timedelta(hours=1))
    assert {each.number: each.anomalous for each in found} == expected


@given(st.permutations(range(12)), st.floats(5, 80))
def test_the_order_of_rows_does_not_matter(order: list[int], holdout: float) -> None:
    rows = [row(number, truth=number % 5 == 0) for number in range(12)]
    data = TrainingData(holdout=holdout)
    made = select([rows[index] for index in order], data, NOON + timedelta(hours=1))
    assert made == select(rows, data, NOON + timedelta(hours=1))
    trained = [each.received_at for each in made if each.use is RowUse.TRAIN]
    held_out = [each.received_at for each in made if each.use is RowUse.EVALUATE and not each.anomalous]
    assert not trained or not held_out or max(trained) < min(held_out)


@pytest.mark.parametrize(
    ("counts", "labels", "message"),
    [
        (RowCounts(19, 0, 50, 5), (NORMAL,), "19 of at least 20 normal windows to train on"),
        (RowCounts(20, 0, 19, 5), (NORMAL,), "19 of at least 20 normal windows to evaluate on"),
        (RowCounts(20, 0, 20, 5), (NORMAL, ANOMALOUS), "no anomalous window to train on"),
        (RowCounts(20, 0, 20, 0), (NORMAL,), ""),
    ],
)
def test_too_few_windows_are_named(counts: RowCounts, labels: tuple[WindowLabel, ...], message: str) -> None:
    assert shortage(counts, TrainingData(labels=labels)) == message


def test_windows_are_counted_by_what_they_are_for() -> None:
    rows = [row(number, truth=number in {1, 9}) for number in range(10)]
    found = count(select(rows, TrainingData(holdout=30), NOON + timedelta(hours=1)))
    assert (found, found.all) == (RowCounts(6, 0, 2, 2), 10)
