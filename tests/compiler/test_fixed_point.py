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
from reconciler.compiler.pack.fixed_point import Band, multiply_single_rounding, oracle_scaled, solve_single_rounding

ALWAYS_SOLVED = 2.0**-13  # with outputs of 8 bits, as long as the oracle's own rounding contradicts no multiplier


def near_steps(scale: float, outputs: Band, band: Band) -> list[int]:
    """Return the accumulators on both sides of each step, and the ends of the band."""
    near = [round((t + 0.5) / scale) + o for t in range(outputs[0], outputs[1]) for o in (-1, 0, 1)]
    return [*band, *(acc for acc in near if band[0] <= acc <= band[1])]


def real_multipliers(scale: float, outputs: Band, band: Band) -> tuple[Fraction, Fraction]:
    """Return the interval of real multipliers that reproduce the oracle, without its upper end."""
    low, high = Fraction(0), Fraction(1 << 40)
    for acc in near_steps(scale, outputs, band):
        size, out = abs(acc), abs(oracle_scaled(acc, scale))
        reach = outputs[1] if acc > 0 else -outputs[0]
        if size > 0 and min(out, reach) > 0:
            low = max(low, Fraction(2 * min(out, reach) - 1, 2 * size))
        if size > 0 and out < reach:
            high = min(high, Fraction(2 * out + 1, 2 * size))
    return low, high


ENDS = st.integers(-(1 << 26), 1 << 26)


@settings(max_examples=200, deadline=None)
@given(
    scale=st.floats(1e-6, 4.0),
    outputs=st.tuples(st.integers(-255, 0), st.integers(0, 255)),
    band=st.tuples(ENDS, ENDS).map(lambda ends: (min(ends), max(ends))),
    data=st.data(),
)
def test_single_rounding_equals_the_oracle_or_no_multiplier_does(
    scale: float, outputs: Band, band: Band, data: st.DataObject
) -> None:
    solved = solve_single_rounding(scale, outputs, band)
    if solved is None:
        low, high = real_multipliers(scale, outputs, band)
        shift = 31 - math.frexp(scale)[1]
        assert all(math.ceil(low * 2**n) >= high * 2**n for n in (shift, shift - 1))
        assert low >= high or scale < ALWAYS_SOLVED
        return
    multiplier, shift = solved
    assert 0 <= multiplier < 1 << 31
    steps = data.draw(st.lists(st.integers(*band), min_size=1, max_size=50))
    tried = [*steps, *near_steps(scale, outputs, band)]
    computed = multiply_single_rounding(np.array(tried, np.int64), multiplier, shift)
    for acc, out in zip(tried, computed.tolist(), strict=True):
        expected = oracle_scaled(acc, scale)
        assert max(outputs[0], min(outputs[1], out)) == max(outputs[0], min(outputs[1], expected))


def test_a_narrow_band_has_a_multiplier_where_all_accumulators_have_none() -> None:
    """A unit with small weights and a large bias: of its sums up to 2^20, only a thousand can occur."""
    outputs = -255, 255
    rng = np.random.default_rng(7)
    scales = [float(scale) for scale in rng.uniform(2.0**-17, 2.0**-16, 60)]
    hard = [scale for scale in scales if solve_single_rounding(scale, outputs, (-(1 << 26), 1 << 26)) is None]
    assert len(hard) > 5
    assert all(solve_single_rounding(scale, outputs, (1 << 20, (1 << 20) + 1000)) is not None for scale in hard)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-9, 1.0, 1e9, 1e30])
@pytest.mark.parametrize("band", [(-(1 << 31), (1 << 31) - 1), (5, 5), (0, 0), (-7, -3)])
def test_the_search_ends_for_any_scale(scale: float, band: Band) -> None:
    solved = solve_single_rounding(scale, (-255, 255), band)
    if solved is not None:
        computed = multiply_single_rounding(np.array(band, np.int64), *solved)
        expected = [oracle_scaled(acc, scale) for acc in band]
        assert np.clip(computed, -255, 255).tolist() == np.clip(np.array(expected, float), -255, 255).tolist()
    else:
        assert scale >= 1.0


def test_a_ratio_whose_ties_a_double_rounds_both_ways_has_no_multiplier() -> None:
    """41/20 as a double is a little less: the product with 10 is rounded up to 20.5, that with 30 stays below 61.5."""
    assert Fraction(2.05) < Fraction(41, 20)
    assert (oracle_scaled(10, 2.05), oracle_scaled(30, 2.05)) == (21, 61)
    assert real_multipliers(2.05, (-62, 62), (-30, 30)) == (Fraction(41, 20), Fraction(41, 20))
    assert solve_single_rounding(2.05, (-62, 62), (-30, 30)) is None
    assert solve_single_rounding(2.05, (-62, 62), (-29, 29)) is not None


def test_a_scale_just_below_a_power_of_two_takes_the_power() -> None:
    scale = math.nextafter(1.0, 0.0)
    solved = solve_single_rounding(scale, (-255, 255), (-(1 << 26), 1 << 26))
    assert solved is not None
    tried = near_steps(scale, (-255, 255), (-(1 << 26), 1 << 26))
    assert multiply_single_rounding(np.array(tried, np.int64), *solved).tolist() == [
        oracle_scaled(acc, scale) for acc in tried
    ]


@pytest.mark.parametrize("scale", [1e-9, 1e-40, 5e-324])
def test_a_scale_that_rounds_everything_to_zero_has_a_multiplier(scale: float) -> None:
    solved = solve_single_rounding(scale, (-255, 255), (-(1 << 26), 1 << 26))
    assert solved is not None
    assert multiply_single_rounding(np.array([1, -1, 1 << 26], np.int64), *solved).tolist() == [0, 0, 0]


@pytest.mark.parametrize("exponent", range(-13, 3))
def test_every_scale_of_a_converted_model_has_a_multiplier(exponent: int) -> None:
    rng = np.random.default_rng(20 + exponent)
    for scale in rng.uniform(2.0**exponent, 2.0 ** (exponent + 1), 40):
        assert solve_single_rounding(float(scale), (-255, 255), (-(1 << 26), 1 << 26)) is not None


@pytest.mark.parametrize("scale", [0.5, 0.25, 2.0**-20, 1.0])
def test_ties_round_away_from_zero(scale: float) -> None:
    solved = solve_single_rounding(scale, (-255, 255), (-(1 << 30), 1 << 30))
    assert solved is not None
    tie = round(0.5 / scale) if scale < 1 else 1
    assert multiply_single_rounding(np.array([tie, -tie], np.int64), *solved).tolist() == [1, -1]


def test_multipliers_at_the_ends_of_their_range() -> None:
    assert fixed_point.quantize_multiplier(0.0) == (0, 0)
    assert fixed_point.quantize_multiplier(1.0 - 2.0**-40) == (1 << 30, 1)  # rounds up to the next power
    assert fixed_point.quantize_multiplier(2.0**-40) == (0, 0)
    assert fixed_point.quantize_multiplier(2.0**40) == (fixed_point.INT32_MAX, 30)
