# SPDX-License-Identifier: Apache-2.0
"""SHA-512 (FIPS 180-4), which MicroPython's hashlib does not have."""

_MASK = 0xFFFFFFFFFFFFFFFF


def _roots() -> tuple[list[int], list[int]]:
    """Return the constants: the first 64 bits of the fractions of roots of primes, 8 square ones and 80 cube ones."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < 80:
        if all([candidate % prime for prime in primes]):
            primes.append(candidate)
        candidate += 1
    return [_root(prime, 2) for prime in primes[:8]], [_root(prime, 3) for prime in primes]


def _root(prime: int, power: int) -> int:
    """Return the first 64 bits after the point of a root, by bisection."""
    wanted, low, high = prime << (64 * power), 0, prime << 64
    while high - low > 1:
        middle = (low + high) >> 1
        if middle**power <= wanted:
            low = middle
        else:
            high = middle
    return low & _MASK


_INITIAL, _K = _roots()


def _rotated(x: int, n: int) -> int:
    return (x >> n | x << (64 - n)) & _MASK


def _compressed(state: list[int], block: bytes) -> list[int]:
    w = [int.from_bytes(block[i : i + 8], "big") for i in range(0, 128, 8)]
    for i in range(16, 80):
        x, y = w[i - 15], w[i - 2]
        s0 = _rotated(x, 1) ^ _rotated(x, 8) ^ x >> 7
        s1 = _rotated(y, 19) ^ _rotated(y, 61) ^ y >> 6
        w.append((w[i - 16] + s0 + w[i - 7] + s1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for k, word in zip(_K, w):
        s1 = _rotated(e, 14) ^ _rotated(e, 18) ^ _rotated(e, 41)
        t1 = h + s1 + (e & f ^ ~e & g) + k + word
        s0 = _rotated(a, 28) ^ _rotated(a, 34) ^ _rotated(a, 39)
        t2 = s0 + (a & b ^ a & c ^ b & c)
        h, g, f, e, d, c, b, a = g, f, e, (d + t1) & _MASK, c, b, a, (t1 + t2) & _MASK
    return [(x + y) & _MASK for x, y in zip(state, (a, b, c, d, e, f, g, h))]


def sha512(message: bytes) -> bytes:
    """Return the hash of a message."""
    padded = message + b"\x80" + bytes(-(len(message) + 17) % 128) + (8 * len(message)).to_bytes(16, "big")
    state = _INITIAL
    for at in range(0, len(padded), 128):
        state = _compressed(state, padded[at : at + 128])
    return b"".join([word.to_bytes(8, "big") for word in state])
