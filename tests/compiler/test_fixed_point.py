# SPDX-License-Identifier: Apache-2.0
"""Fixed-point arithmetic against that of the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.pack import fixed_point
from reconciler.compiler.pack.fixed_point import multiply_single_rounding, oracle_scaled, solve_single_rounding


@settings(max_examples=200, deadline=None)
@given(
    scale=st.floats(1e-6, 4.0),
    reach=st.integers(1, 255),
    largest=st.integers(1, 1 << 26),
    data=st.data(),
)
def test_single_rounding_equals_the_oracle_for_every_accumulator(
    scale: float, reach: int, largest: int, data: st.DataObject
) -> None:
    solved = solve_single_rounding(scale, reach, largest)
    assert solved is not None
    multiplier, shift = solved
    assert 0 <= multiplier < 1 << 31
    steps = data.draw(st.lists(st.integers(-largest, largest), min_size=1, max_size=50))
    near = [round((t + 0.5) / scale) + o for t in range(-reach, reach) for o in (-1, 0, 1)]
    tried = [a for a in (*steps, *near) if abs(a) <= largest]
    computed = multiply_single_rounding(np.array(tried, np.int64), multiplier, shift)
    for acc, out in zip(tried, computed.tolist(), strict=True):
        expected = oracle_scaled(acc, scale)
        assert max(-reach, min(reach, out)) == max(-reach, min(reach, expected))


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0**-20, 1.0])
def test_ties_round_away_from_zero(scale: float) -> None:
    solved = solve_single_rounding(scale, 255, 1 << 30)
    assert solved is not None
    tie = round(0.5 / scale) if scale < 1 else 1
    assert multiply_single_rounding(np.array([tie, -tie], np.int64), *solved).tolist() == [1, -1]


def test_multipliers_at_the_ends_of_their_range() -> None:
    assert fixed_point.quantize_multiplier(0.0) == (0, 0)
    assert fixed_point.quantize_multiplier(1.0 - 2.0**-40) == (1 << 30, 1)  # rounds up to the next power
    assert fixed_point.quantize_multiplier(2.0**-40) == (0, 0)
    assert fixed_point.quantize_multiplier(2.0**40) == (fixed_point.INT32_MAX, 30)
