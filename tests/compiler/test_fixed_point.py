# SPDX-License-Identifier: Apache-2.0
"""Fixed-point arithmetic against that of the oracle."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.pack import fixed_point
from reconciler.compiler.pack.fixed_point import multiply_single_rounding, oracle_scaled, solve_single_rounding

ALWAYS_SOLVED = 2.0**-13  # with outputs of 8 bits, as long as the oracle's own rounding contradicts no multiplier


def near_steps(scale: float, reach: int, largest: int) -> list[int]:
    """Return the accumulators on both sides of each step, of both signs."""
    near = [round((t + 0.5) / scale) + o for t in range(-reach, reach) for o in (-1, 0, 1)]
    return [acc for acc in near if abs(acc) <= largest]


def real_multipliers(scale: float, reach: int, largest: int) -> tuple[Fraction, Fraction]:
    """Return the interval of real multipliers that reproduce the oracle, without its upper end."""
    outputs = [(acc, oracle_scaled(acc, scale)) for acc in (*near_steps(scale, reach, largest), largest) if acc > 0]
    low = [Fraction(2 * min(out, reach) - 1, 2 * acc) for acc, out in outputs if out > 0]
    high = [Fraction(2 * out + 1, 2 * acc) for acc, out in outputs if out < reach]
    return max(low, default=Fraction(0)), min(high, default=Fraction(1 << 40))


@settings(max_examples=200, deadline=None)
@given(
    scale=st.floats(1e-6, 4.0),
    reach=st.integers(1, 255),
    largest=st.integers(1, 1 << 26),
    data=st.data(),
)
def test_single_rounding_equals_the_oracle_or_no_multiplier_does(
    scale: float, reach: int, largest: int, data: st.DataObject
) -> None:
    solved = solve_single_rounding(scale, reach, largest)
    if solved is None:
        low, high = real_multipliers(scale, reach, largest)
        shift = 31 - math.frexp(scale)[1]
        assert all(math.ceil(low * 2**n) >= high * 2**n for n in (shift, shift - 1))
        assert low >= high or scale < ALWAYS_SOLVED
        return
    multiplier, shift = solved
    assert 0 <= multiplier < 1 << 31
    steps = data.draw(st.lists(st.integers(-largest, largest), min_size=1, max_size=50))
    tried = [*steps, *near_steps(scale, reach, largest)]
    computed = multiply_single_rounding(np.array(tried, np.int64), multiplier, shift)
    for acc, out in zip(tried, computed.tolist(), strict=True):
        expected = oracle_scaled(acc, scale)
        assert max(-reach, min(reach, out)) == max(-reach, min(reach, expected))


def test_a_ratio_whose_ties_a_double_rounds_both_ways_has_no_multiplier() -> None:
    """41/20 as a double is a little less: the product with 10 is rounded up to 20.5, that with 30 stays below 61.5."""
    assert Fraction(2.05) < Fraction(41, 20)
    assert (oracle_scaled(10, 2.05), oracle_scaled(30, 2.05)) == (21, 61)
    assert real_multipliers(2.05, 62, 30) == (Fraction(41, 20), Fraction(41, 20))
    assert solve_single_rounding(2.05, 62, 30) is None
    assert solve_single_rounding(2.05, 62, 29) is not None


def test_a_scale_just_below_a_power_of_two_takes_the_power() -> None:
    scale = math.nextafter(1.0, 0.0)
    solved = solve_single_rounding(scale, 255, 1 << 26)
    assert solved is not None
    tried = near_steps(scale, 255, 1 << 26)
    assert multiply_single_rounding(np.array(tried, np.int64), *solved).tolist() == [
        oracle_scaled(acc, scale) for acc in tried
    ]


@pytest.mark.parametrize("scale", [1e-9, 1e-40, 5e-324])
def test_a_scale_that_rounds_everything_to_zero_has_a_multiplier(scale: float) -> None:
    solved = solve_single_rounding(scale, 255, 1 << 26)
    assert solved is not None
    assert multiply_single_rounding(np.array([1, -1, 1 << 26], np.int64), *solved).tolist() == [0, 0, 0]


@pytest.mark.parametrize("exponent", range(-13, 3))
def test_every_scale_of_a_converted_model_has_a_multiplier(exponent: int) -> None:
    rng = np.random.default_rng(20 + exponent)
    for scale in rng.uniform(2.0**exponent, 2.0 ** (exponent + 1), 40):
        assert solve_single_rounding(float(scale), 255, 1 << 26) is not None


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
