# SPDX-License-Identifier: Apache-2.0
"""Sigmoid and hyperbolic tangent of 16-bit numbers, for the gates of an LSTM (docs/specs/pack.md section 8.6)."""

from __future__ import annotations

import numpy as np

from reconciler.compiler.pack.fixed_point import Ints, rdp

GATE_INTEGER_BITS = 3
_ONE = 32767
_ONE_OF_Q2 = 8192
_EXP_MINUS_EIGHTH, _THIRD = 28918, 10923
_EXP_STEPS = (25520, 19875, 12055, 4435, 600, 11, 0)
_MOST_STEPS_OF_A_RANGE = 5  # integer bits beyond which e to the power of an argument below -32 is 0


def saturate16(x: Ints) -> Ints:
    """Clamp to 16 bits."""
    return np.clip(x, -32768, 32767)


def wrap16(x: Ints) -> Ints:
    """Wrap to 16 bits."""
    return ((x + 32768) & 0xFFFF) - 32768


def _product(a: Ints, b: Ints | int) -> Ints:
    """The doubled product of two fractions, rounded: SRDHM on 16 bits."""
    rounded: Ints = np.minimum((a * b + (1 << 14)) >> 15, _ONE)
    return rounded


def _exp_on_negative(a: Ints, integer_bits: int) -> Ints:
    """Return e to the power of a <= 0, in Q0."""
    fraction_bits = 15 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (a & (quarter - 1)) - quarter
    rest = part - a
    x = (part << integer_bits) + (1 << 12)
    x2 = _product(x, x)
    x3, x4 = _product(x2, x), _product(x2, x2)
    tail = rdp(_product(rdp(x4, 2) + x3, _THIRD) + x2, 1)
    result = saturate16(_EXP_MINUS_EIGHTH + _product(x + tail, _EXP_MINUS_EIGHTH))
    for i, step in enumerate(_EXP_STEPS[: integer_bits + 2]):
        result = np.where(rest >> (fraction_bits - 2 + i) & 1, _product(result, step), result)
    if integer_bits > _MOST_STEPS_OF_A_RANGE:
        result = np.where(a < -(1 << (20 - integer_bits)), 0, result)
    return np.where(a == 0, _ONE, result)


def _reciprocal(a: Ints) -> Ints:
    """Return 2 / (1 + a) for a of 0 to 1, in Q2."""
    half = (a + _ONE + 1) >> 1
    x = 23130 + _product(half, -15420)
    for _ in range(3):
        x = wrap16(x + saturate16(_product(x, _ONE_OF_Q2 - _product(half, x)) << 2))
    return x


def sigmoid16(a: Ints) -> Ints:
    """Return the sigmoid of numbers in Q3, in Q0."""
    above = saturate16(_reciprocal(_exp_on_negative(-np.abs(a), GATE_INTEGER_BITS)) << 1)
    return np.where(a > 0, above, np.where(a < 0, _ONE - above, 1 << 14))


def tanh16(a: Ints, integer_bits: int) -> Ints:
    """Return the hyperbolic tangent of numbers with some integer bits (0 to 6), in Q0."""
    size = saturate16(wrap16(_reciprocal(_exp_on_negative(-np.abs(a), integer_bits + 1)) - _ONE_OF_Q2) << 2)
    return np.where(a > 0, size, np.where(a < 0, -size, 0))
