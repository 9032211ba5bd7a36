# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.git.poll_interval import PollInterval, delay_s

CADENCE = PollInterval(interval_s=30, jitter=0.2, max_s=600)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_delay_stays_within_the_jitter_of_interval_and_maximum(failures: int, chance: float) -> None:
    assert 30 * 0.8 <= delay_s(CADENCE, failures, chance) <= 600 * 1.2


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_delay_never_shrinks_with_failures(failures: int, chance: float) -> None:
    assert delay_s(CADENCE, failures + 1, chance) >= delay_s(CADENCE, failures, chance)


def test_delays_double_up_to_the_maximum() -> None:
    assert [delay_s(CADENCE, failures, 0.5) for failures in range(7)] == [30, 60, 120, 240, 480, 600, 600]


def test_the_interval_takes_precedence_over_a_smaller_maximum() -> None:
    assert delay_s(PollInterval(interval_s=60, jitter=0, max_s=10), 3, 0.5) == 60
