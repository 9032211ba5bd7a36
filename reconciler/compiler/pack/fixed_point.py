# SPDX-License-Identifier: Apache-2.0
"""The fixed-point arithmetic of packs, exactly as docs/specs/pack.md section 8 defines it.

The array functions take int64 arrays that hold 32-bit values. They are the executable form of the
specification, so they are simple rather than fast. The short names come from the specification.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Band = tuple[int, int]  # from and to, both included
INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)


def wrap32(x: Ints) -> Ints:
    """Wrap to 32 bits in two's complement."""
    wrapped: Ints = ((x + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
    return wrapped


def srdhm(a: Ints, b: Ints | int) -> Ints:
    """Return the saturating rounding doubling high product (SRDHM)."""
    product = a * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    result: Ints = np.minimum(high, INT32_MAX)
    return result


def rdp(x: Ints, exponent: Ints | int) -> Ints:
    """Divide by a power of two and round to nearest, ties away from zero (RDP)."""
    e = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << e) - 1
    threshold = (mask >> 1) + (x < 0)
    result: Ints = (x >> e) + ((x & mask) > threshold)
    return result


def shl(x: Ints, exponent: int) -> Ints:
    """Multiply by a power of two and saturate."""
    shifted: Ints = np.clip(x << exponent, INT32_MIN, INT32_MAX)
    return shifted


def multiply_by_quantized_multiplier(x: Ints, multiplier: Ints | int, shift: Ints | int) -> Ints:
    """Multiply by a quantized multiplier, with the two roundings of TensorFlow Lite (MBQM)."""
    s = np.asarray(shift, np.int64)
    shifted = wrap32(x << np.maximum(s, 0))
    return rdp(srdhm(shifted, multiplier), np.maximum(-s, 0))


def multiply_single_rounding(x: Ints, multiplier: Ints | int, shift: Ints | int) -> Ints:
    """Multiply with a single rounding, halves away from zero (SR)."""
    n = np.asarray(shift, np.uint64)
    magnitude = np.abs(x).astype(np.uint64) * np.asarray(multiplier, np.uint64)
    rounded = ((magnitude + (np.uint64(1) << (n - np.uint64(1)))) >> n).astype(np.int64)
    return np.where(x < 0, -rounded, rounded)


def round_half_away(value: float) -> int:
    """Round to nearest, halves away from zero, as `round` in C."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split a real multiplier into a 31-bit fraction and a shift (positive: left)."""
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    fixed = round_half_away(fraction * (1 << 31))
    if fixed == 1 << 31:
        fixed //= 2
        shift += 1
    if shift < -31:  # noqa: PLR2004 - nothing would be left
        return 0, 0
    if shift > 30:  # noqa: PLR2004 - the oracle saturates here
        return INT32_MAX, 30
    return fixed, shift


def oracle_scaled(acc: int, scale: float) -> int:
    """Scale as the fully connected layer of the oracle does: in double precision, halves away from zero."""
    product = float(acc) * scale
    return int(math.copysign(math.floor(abs(product) + 0.5), product)) if abs(product) < 2.0**52 else int(product)


def _first_reaching(target: int, scale: float, band: Band) -> int:
    """Return the least accumulator of a band that the oracle scales to `target` or more; the last one must be."""
    low, high = band
    near = (target - 0.5) / scale
    if low < near < high:  # the product rounds: look at the neighbours first
        low, high = (
            max([low, *(acc for acc in _around(near) if oracle_scaled(acc - 1, scale) < target)]),
            min([high, *(acc for acc in _around(near) if oracle_scaled(acc, scale) >= target)]),
        )
    while low < high:
        middle = (low + high) // 2
        if oracle_scaled(middle, scale) >= target:
            high = middle
        else:
            low = middle + 1
    return low


def _around(value: float) -> tuple[int, int]:
    return math.floor(value), math.ceil(value)


def solve_single_rounding(scale: float, outputs: Band, accumulators: Band) -> tuple[int, int] | None:
    """Find (m, n) so that SR equals the oracle for every accumulator of a band, or None if there is no such pair.

    `outputs` are the least and the largest output behind the clamp, relative to the zero point.

    Both sides never decrease and are odd, so they are equal everywhere if they are equal at both ends of the band
    and step at the same accumulators. Let `a` be the least accumulator that the oracle scales to `t` or more. SR
    steps there if (2t - 1)/(2a) <= m/2^n < (2t - 1)/(2(a - 1)). All steps together leave one interval for m/2^n.

    A multiple of 2^-n may be missing from it for one of two reasons:

    - The interval is narrower than 2^-n. Its ends are fractions with denominators of at most 2A, where A is the
      largest accumulator at which a step counts, so it is at least 1/(2A^2) wide. A pair exists wherever
      2A^2 <= 2^n. Outputs of 8 bits have steps up to 255, A is below 255/scale + 1, and so that holds for each
      scale from 2^-13 up. Below, more and more scales have no pair: 0.2 % of those above 2^-14, 1.5 % of those
      above 2^-15, 9 % above 2^-16, 27 % above 2^-17 (1,000 drawn in each octave, all accumulators).
    - The interval is empty: no real multiplier does what the oracle does. It rounds the product to a double before
      it rounds to an integer, and that lifts some products to the next half and not others. 2.05 as a double is a
      little less than 41/20: 10 * 2.05 becomes 20.5 and so 21, which asks for m/2^n >= 41/20, while 30 * 2.05
      stays below 61.5 and becomes 61, which asks for m/2^n < 41/20. It takes a scale that is within the rounding
      error of a double, but not exactly, a fraction (2t - 1)/(2a): a ratio of small integers.
    """
    positive = _multipliers(scale, outputs[1], (accumulators[0], accumulators[1]))
    negative = _multipliers(scale, -outputs[0], (-accumulators[1], -accumulators[0]))
    low, high = max(positive[0], negative[0]), min(positive[1], negative[1])
    shift = min(62, 31 - math.frexp(scale)[1])
    for n in (shift, shift - 1):  # the second for a scale just below a power of two, which m = 2^31 would be
        if n < 1:
            break
        least, most = math.ceil(low * (1 << n)), min(math.ceil(high * (1 << n)), 1 << 31) - 1
        if least <= most:
            return min(max(round_half_away(scale * 2.0**n), least), most), n
    return None


def _multipliers(scale: float, largest_output: int, band: Band) -> tuple[Fraction, Fraction]:
    """Return the least real multiplier that equals the oracle on the positive part of a band, and the end of those."""
    first, last = max(band[0], 1), band[1]
    low, high = Fraction(0), Fraction(1 << 31)
    if first > last or largest_output < 1:
        return low, high
    least, most = (min(oracle_scaled(acc, scale), largest_output) for acc in (first, last))
    if least > 0:
        low = Fraction(2 * least - 1, 2 * first)
    if most < largest_output:
        high = Fraction(2 * most + 1, 2 * last)
    for target in range(least + 1, most + 1):
        step = _first_reaching(target, scale, (first + 1, last))
        low = max(low, Fraction(2 * target - 1, 2 * step))
        high = min(high, Fraction(2 * target - 1, 2 * (step - 1)))
    return low, high
