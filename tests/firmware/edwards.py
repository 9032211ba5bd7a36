# SPDX-License-Identifier: Apache-2.0
"""The curve of RFC 8032 section 5.1 in plain Python, for tests alone.

It exists to make signatures that no honest signer makes, and to say what must become of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Self

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
SIGN = 1 << 255


@dataclass(frozen=True)
class Point:
    """x and y, below P."""

    x: int
    y: int

    def __add__(self, other: Self) -> Point:
        cross = D * self.x * other.x * self.y * other.y
        x = (self.x * other.y + other.x * self.y) * pow(1 + cross, -1, P) % P
        return Point(x, (self.y * other.y + self.x * other.x) * pow(1 - cross, -1, P) % P)

    def __neg__(self) -> Point:
        return Point(-self.x % P, self.y)

    def __rmul__(self, scalar: int) -> Point:
        total, power = (0, 1, 1), (self.x, self.y, 1)
        while scalar:
            if scalar & 1:
                total = _add(total, power)
            power = _add(power, power)
            scalar >>= 1
        x, y, z = total
        inverse = pow(z, -1, P)
        return Point(x * inverse % P, y * inverse % P)

    def encode(self) -> bytes:
        """The one encoding that RFC 8032 has for it."""
        return (self.y | (self.x & 1) * SIGN).to_bytes(32, "little")


NEUTRAL = Point(0, 1)


def _add(p: tuple[int, int, int], q: tuple[int, int, int]) -> tuple[int, int, int]:
    """Add as fractions over one denominator, so that a multiplication needs one inversion."""
    a, b, c = p[2] * q[2] % P, p[0] * q[0] % P, p[1] * q[1] % P
    e = D * b * c % P
    f, g, square = a * a - e, a * a + e, (p[0] + p[1]) * (q[0] + q[1]) - b - c
    return a * f * square % P, a * g * (c + b) % P, f * g % P


def decode(data: bytes) -> Point | None:
    """Read a point as implementations do: y is taken modulo P, and 0 has no sign; nothing where there is none."""
    number = int.from_bytes(data, "little")
    y, odd = number % SIGN % P, number // SIGN
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (v * x * x - u) % P:
        return None
    return Point(x if x & 1 == odd else -x % P, y)


def base() -> Point:
    """The base point: y is 4/5, x is even."""
    found = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    assert found is not None
    return found


def torsion() -> list[Point]:
    """The eight points of small order."""
    y = 2
    while True:
        found = decode(y.to_bytes(32, "little"))
        if found is not None and (generator := ORDER * found) + generator != NEUTRAL:
            eighth = generator
            points = [number * eighth for number in range(8)]
            if len(set(points)) == len(points):
                return points
        y += 1


def other_encodings(point: Point) -> list[bytes]:
    """Encodings of a point that RFC 8032 forbids: y not below P, or a sign on 0."""
    signs = [0, 1] if point.x == 0 else [point.x & 1]
    numbers = [y | sign * SIGN for y in (point.y, point.y + P) if y < SIGN for sign in signs]
    return [data for number in numbers if (data := number.to_bytes(32, "little")) != point.encode()]


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    """h of RFC 8032: SHA-512 over all that is public, modulo the order."""
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % ORDER


def holds(signature: bytes, key: bytes, message: bytes) -> bool:
    """The stricter of the two rules that RFC 8032 allows: R is, to the byte, s B - h A."""
    found = _wanted(signature, key, message)
    return found is not None and found.encode() == signature[:32]


def holds_with_cofactor(signature: bytes, key: bytes, message: bytes) -> bool:
    """The wider one: both sides times eight, so that what is of small order does not count."""
    found, r = _wanted(signature, key, message), decode(signature[:32])
    return found is not None and r is not None and 8 * found == 8 * r


def _wanted(signature: bytes, key: bytes, message: bytes) -> Point | None:
    point, s = decode(key), int.from_bytes(signature[32:], "little")
    if point is None or s >= ORDER:
        return None
    return s * base() + challenge(signature[:32], key, message) * -point
