# SPDX-License-Identifier: Apache-2.0
"""Pauses double with each failure, up to a longest one, and differ a little."""

from __future__ import annotations

import random

import pytest

from reconciler.engine.backoff import JITTER, Backoff

FIRST_S, LONGEST_S, NOW_S = 10.0, 100.0, 1000.0


class Middle(random.Random):
    """Draws the middle of each range."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def backoff(jitter: random.Random | None = None) -> Backoff[str]:
    return Backoff(FIRST_S, LONGEST_S, jitter or Middle())


def test_what_never_failed_has_no_pause() -> None:
    each = backoff()
    assert each.may_try("a", 0.0)
    assert each.next_try_in_s(["a"], 0.0) is None
    each.forget("a")


def test_each_failure_doubles_the_pause_up_to_the_longest() -> None:
    each = backoff()
    pauses: list[float | None] = []
    for _ in range(2000):  # far more than a float can double
        each.failed("a", NOW_S)
        pauses.append(each.next_try_in_s(["a"], NOW_S))
    middle = 1 + JITTER / 2
    assert pauses[:5] == pytest.approx([10 * middle, 20 * middle, 40 * middle, 80 * middle, 100 * middle])
    assert pauses[-1] == pauses[4]


def test_a_pause_ends_on_time() -> None:
    each = backoff()
    each.failed("a", NOW_S)
    ends_s = NOW_S + FIRST_S * (1 + JITTER / 2)
    assert not each.may_try("a", ends_s - 0.001)
    assert each.may_try("a", ends_s)
    assert each.may_try("b", NOW_S)
    assert each.next_try_in_s(["a"], ends_s + 5) == 0.0


def test_the_first_pause_to_end_counts_among_those_asked_for() -> None:
    each = backoff()
    each.failed("a", NOW_S)
    each.failed("b", NOW_S)
    each.failed("b", NOW_S)
    middle = 1 + JITTER / 2
    assert each.next_try_in_s(["a", "b", "c"], NOW_S) == pytest.approx(10 * middle)
    assert each.next_try_in_s(["b", "c"], NOW_S) == pytest.approx(20 * middle)


def test_what_is_forgotten_begins_again_with_the_first_pause() -> None:
    each = backoff()
    for key in ("a", "a", "b", "b", "c", "c"):
        each.failed(key, NOW_S)
    each.forget("a")
    each.forget_others({"a", "c", "d"})
    assert each.may_try("a", NOW_S)
    assert each.may_try("b", NOW_S)
    assert not each.may_try("c", NOW_S)
    for key in ("a", "b"):
        each.failed(key, NOW_S)
    middle = 1 + JITTER / 2
    assert each.next_try_in_s(["a"], NOW_S) == pytest.approx(10 * middle)
    assert each.next_try_in_s(["b"], NOW_S) == pytest.approx(10 * middle)
    assert each.next_try_in_s(["c"], NOW_S) == pytest.approx(20 * middle)


def test_what_failed_together_is_not_tried_again_together() -> None:
    each = backoff(random.Random(1))
    for key in ("a", "b"):
        each.failed(key, NOW_S)
    pauses = [each.next_try_in_s([key], NOW_S) for key in ("a", "b")]
    assert len(set(pauses)) == 2
    assert all(pause is not None and FIRST_S <= pause <= FIRST_S * (1 + JITTER) for pause in pauses)
