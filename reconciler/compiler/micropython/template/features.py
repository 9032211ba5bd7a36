# SPDX-License-Identifier: Apache-2.0
"""Statistics of a window, in the integers of docs/specs/pack.md section 8.4. The builder adds `features(x)`."""


def quotient(a: int, b: int) -> int:
    """Divide and truncate toward 0."""
    return a // b if a >= 0 else -(-a // b)


def scaled(raw: int, offset: int, multiplier: int, shift: int, most: int) -> int:
    """Scale a statistic to the range of the thresholds."""
    difference = min(max(raw - offset, -2147483648), 2147483647)
    return min(max((difference * multiplier + ((1 << shift) >> 1)) >> shift, 0), most)


# ------------------------------------------------------------ root
def root(x: int) -> int:
    """Return the largest integer whose square is not larger than x."""
    guess, rest = 2, x
    if x < 2:
        return x
    while rest > 3:
        rest >>= 2
        guess <<= 1
    while True:
        better = (guess + x // guess) >> 1
        if better >= guess:
            return guess
        guess = better


# ------------------------------------------------------------ sums
def sums(x: "list[int]") -> "tuple[int, int, int]":
    """Return the mean in 1/16, the variance in 1/256, and the sum of squares."""
    n, s1, s2 = len(x), 0, 0
    for value in x:
        s1 += value
        s2 += value * value
    mean = quotient(16 * s1 + (n // 2 if s1 >= 0 else -(n // 2)), n)
    return mean, (n * s2 - s1 * s1) * 256 // (n * n), s2


# ------------------------------------------------------------ deviations
def deviations(x: "list[int]", mean: int) -> "tuple[int, int]":
    """Return the largest deviation from the mean in 1/16, and how often the deviation changes its sign."""
    peak = crossings = 0
    below = 16 * x[0] < mean
    for value in x:
        d = 16 * value - mean
        peak = max(peak, d, -d)
        if (d < 0) != below:
            crossings += 1
            below = d < 0
    return peak, crossings


# ------------------------------------------------------------ powers
def powers(x: "list[int]", mean: int, peak: int) -> "tuple[int, int]":
    """Return skewness and kurtosis in 1/1024, from deviations brought to twelve bits."""
    n, excess, z2, z3, z4 = len(x), -12, 0, 0, 0
    while peak:
        peak >>= 1
        excess += 1
    for value in x:
        d = 16 * value - mean
        z = (d + (1 << (excess - 1))) >> excess if excess > 0 else d << -excess
        square = z * z
        z2 += square
        z3 += square * z
        z4 += square * square
    v = z2 * 256 // n
    if v == 0:
        return 0, 0
    sigma = root(v << 24)
    skewness = quotient(quotient(z3, n) * 1024, (v * (sigma >> 8)) >> 16)
    return skewness, z4 // n * 1024 // (((v >> 4) * (v >> 4)) >> 8)
