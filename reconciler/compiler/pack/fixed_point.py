# SPDX-License-Identifier: Apache-2.0
"""The fixed-point arithmetic of packs, exactly as docs/specs/pack.md section 8 defines it.

The array functions take int64 arrays that hold 32-bit values. They are the executable form of the
specification, so they are simple rather than fast. The short names are those of the specification.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
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


def _first_reaching(target: int, scale: float) -> int:
    """Return the least accumulator that the oracle scales to `target` or more."""
    acc = max(1, math.ceil((target - 0.5) / scale) - 2)
    while acc > 1 and oracle_scaled(acc - 1, scale) >= target:
        acc -= 1
    while oracle_scaled(acc, scale) < target:
        acc += 1
    return acc


def solve_single_rounding(scale: float, largest_output: int, largest_acc: int) -> tuple[int, int] | None:
    """Find (m, n) so that SR equals the oracle for every accumulator, or None.

    Both sides never decrease, are odd, and matter only up to `largest_output`; so they are equal
    everywhere if they step at the same accumulators. Each step bounds m from both sides.
    """
    shift = min(62, 31 - math.frexp(scale)[1])
    if shift < 1:
        return None
    low, high = Fraction(0), Fraction(1 << 31)
    for target in range(1, largest_output + 1):
        if (target - 1) / scale > largest_acc:
            break
        step = _first_reaching(target, scale)
        half = (2 * target - 1) << (shift - 1)
        if step <= largest_acc:
            low = max(low, Fraction(half, step))
        if step > 1:
            high = min(high, Fraction(half, step - 1))
    least, most = math.ceil(low), math.ceil(high) - 1
    if least > most:
        return None
    return min(max(round_half_away(scale * 2.0**shift), least), most), shift
