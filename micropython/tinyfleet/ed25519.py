# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032, pure) in Python's integers: about a quarter of a second to some seconds on a microcontroller.

Verification follows the stricter of the two rules that RFC 8032 allows, as the small curve of the agent in C does.
Signing does not take constant time: who measures the device can learn about its own key, which signs reports only.
"""

from tinyfleet.sha512 import sha512

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_LOW = 2**255 - 1
_SCALAR_BITS = 253
_NEUTRAL = (0, 1, 1, 0)


def _inverse(x: int) -> int:
    return pow(x, _P - 2, _P)


_D = -121665 * _inverse(121666) % _P
_D2 = 2 * _D
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)


def _add(p: tuple, q: tuple) -> tuple:
    """Add points in extended coordinates (x, y, z, t): the formulas hold for all pairs of points."""
    x1, y1, z1, t1 = p
    x2, y2, z2, t2 = q
    a = (y1 - x1) * (y2 - x2) % _P
    b = (y1 + x1) * (y2 + x2) % _P
    c = t1 * _D2 % _P * t2 % _P
    d = 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _doubled(p: tuple) -> tuple:
    x, y, z, _ = p
    a, b = x * x % _P, y * y % _P
    h = a + b
    e = h - (x + y) * (x + y) % _P
    g = a - b
    f = 2 * z * z % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _sum(a: int, p: tuple, b: int, q: tuple) -> tuple:
    """Return a p + b q: both scalars share the doublings."""
    both = _add(p, q)
    total = _NEUTRAL
    for bit in range(_SCALAR_BITS + 1, -1, -1):
        total = _doubled(total)
        chosen = a >> bit & 1 | (b >> bit & 1) << 1
        if chosen:
            total = _add(total, p if chosen == 1 else q if chosen == 2 else both)
    return total


def _encoded(p: tuple) -> bytes:
    x, y, z, _ = p
    inverse = _inverse(z)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _decoded(data: bytes) -> "tuple | None":
    """Return the point, or None where there is none; y is taken modulo P, and 0 has no sign."""
    value = int.from_bytes(data, "little")
    y, odd = (value & _LOW) % _P, value >> 255
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    v3 = v * v % _P * v % _P
    x = u * v3 % _P * pow(u * v3 % _P * v3 % _P * v % _P, (_P - 5) // 8, _P) % _P
    if (v * x % _P * x - u) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
        if (v * x % _P * x - u) % _P:
            return None
    if x & 1 != odd:
        x = -x % _P
    return x, y, 1, x * y % _P


_BASE_POINT = _decoded(b"\x58" + b"\x66" * 31)


def _scalar(message: bytes) -> int:
    return int.from_bytes(sha512(message), "little") % _ORDER


def verify(signature: bytes, public: bytes, message: bytes) -> bool:
    """Return whether the signature is valid."""
    s = int.from_bytes(signature[32:], "little")
    key = _decoded(public)
    if len(signature) != 64 or s >= _ORDER or key is None or _BASE_POINT is None:
        return False
    x, y, z, t = key
    found = _sum(s, _BASE_POINT, _scalar(signature[:32] + public + message), (-x % _P, y, z, -t % _P))
    return _encoded(found) == signature[:32]


def sign(seed: bytes, public: bytes, message: bytes) -> bytes:
    """Return the signature of a message."""
    expanded = sha512(seed)
    secret = int.from_bytes(expanded[:32], "little") & (2**254 - 8) | 2**254
    nonce = _scalar(expanded[32:] + message)
    r = _encoded(_sum(nonce, _BASE_POINT, 0, _NEUTRAL))
    s = (nonce + _scalar(r + public + message) * secret) % _ORDER
    return r + s.to_bytes(32, "little")
