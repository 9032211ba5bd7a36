# SPDX-License-Identifier: Apache-2.0
"""Both curves against a third one and OpenSSL's, on signatures that no honest signer makes.

The cases are those of Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (2020): parts of small order,
encodings that are not canonical, s out of range. The small curve takes just what OpenSSL takes; monocypher follows the
wider of the two rules that RFC 8032 allows, which differs only for signatures that the holder of the private key crafts
(docs/adr/0043-two-curve-implementations.md).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.firmware.conftest import build
from tests.firmware.core_process import CoreProcess
from tests.firmware.edwards import (
    ORDER,
    P,
    Point,
    base,
    challenge,
    decode,
    holds,
    holds_with_cofactor,
    other_encodings,
    torsion,
)

TAKEN, REFUSED = "0", "-16"
SMALL = torsion()
Case = tuple[bytes, bytes, bytes]  # signature, key, message


@dataclass(frozen=True)
class Curve:
    process: CoreProcess
    rule: Callable[[bytes, bytes, bytes], bool]


@pytest.fixture(scope="module", params=["monocypher", "small"])
def curve(request: pytest.FixtureRequest) -> Iterator[Curve]:
    process = CoreProcess(build("host-asan") / f"core-check-{request.param}")
    yield Curve(process, holds if request.param == "small" else holds_with_cofactor)
    process.close()


def number(value: int) -> bytes:
    return value.to_bytes(32, "little")


def openssl_takes(case: Case) -> bool:
    signature, key, message = case
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def assert_judged_right(curve: Curve, case: Case) -> bool:
    """Check the verdict, and return whether the signature is valid by the stricter rule."""
    assert curve.process.ask("verify", *case) == (TAKEN if curve.rule(*case) else REFUSED), [p.hex() for p in case]
    assert openssl_takes(case) == holds(*case), [part.hex() for part in case]
    return holds(*case)


def sealed(rng: random.Random, key: bytes, secret: int, r: bytes, nonce: int) -> Case:
    """Sign with chosen parts: R need not be nonce * base."""
    message = rng.randbytes(rng.randrange(1, 60))
    return r + number((nonce + challenge(r, key, message) * secret) % ORDER), key, message


def test_the_third_curve_is_that_of_the_standard() -> None:
    assert ORDER * base() == Point(0, 1)
    assert len({point.encode() for point in SMALL}) == 8
    assert all(8 * point == Point(0, 1) for point in SMALL)
    assert sum(len(other_encodings(point)) for point in SMALL) == 6


def test_honest_keys_and_signatures(curve: Curve) -> None:
    rng = random.Random(20)
    for _ in range(15):
        secret, nonce = rng.randrange(ORDER), rng.randrange(ORDER)
        assert assert_judged_right(
            curve, sealed(rng, (secret * base()).encode(), secret, (nonce * base()).encode(), nonce)
        )


def test_parts_of_small_order_in_the_key_or_in_r(curve: Curve) -> None:
    """By the stricter rule it hangs on h whether such a signature holds."""
    rng, taken = random.Random(21), 0
    for in_key in SMALL:
        for in_r in SMALL:
            secret, nonce = rng.randrange(ORDER), rng.randrange(ORDER)
            key = (secret * base() + in_key).encode()
            taken += assert_judged_right(curve, sealed(rng, key, secret, (nonce * base() + in_r).encode(), nonce))
    assert 1 <= taken <= 32


def test_keys_and_r_of_small_order_in_all_encodings(curve: Curve) -> None:
    rng, taken = random.Random(22), 0
    for point in SMALL:
        for key in [point.encode(), *other_encodings(point)]:
            for r_point in SMALL:
                for r in [r_point.encode(), *other_encodings(r_point)]:
                    taken += assert_judged_right(curve, sealed(rng, key, 0, r, 0))
    assert taken > 8


def test_no_other_encoding_of_r_is_taken(curve: Curve) -> None:
    rng = random.Random(23)
    for r_point in SMALL:
        for r in other_encodings(r_point):
            for _ in range(8):  # whatever h is
                secret = rng.randrange(ORDER)
                case = sealed(rng, (secret * base()).encode(), secret, r, 0)
                assert not assert_judged_right(curve, case)


def test_s_has_one_form(curve: Curve) -> None:
    rng = random.Random(24)
    secret, nonce = rng.randrange(ORDER), rng.randrange(ORDER)
    signature, key, message = sealed(rng, (secret * base()).encode(), secret, (nonce * base()).encode(), nonce)
    s = int.from_bytes(signature[32:], "little")
    for times in range(1, 16):
        if s + times * ORDER < 2**256:
            case = (signature[:32] + number(s + times * ORDER), key, message)
            assert not assert_judged_right(curve, case)
    for bit in (252, 253, 254, 255):
        assert not assert_judged_right(curve, (signature[:32] + number(s ^ 1 << bit), key, message))


@pytest.mark.parametrize("s", [0, 1, ORDER - 1, ORDER, ORDER + 1, 2**252, 2**253 - 1, 2**255 - 19, 2**256 - 1])
def test_s_at_its_ends(curve: Curve, s: int) -> None:
    """R is what s makes it, for a key of order one: the equation holds, and only the range of s decides."""
    neutral = SMALL[0].encode()
    case = ((s % ORDER * base()).encode() + number(s), neutral, b"m")
    assert assert_judged_right(curve, case) == (s < ORDER)


def test_keys_at_the_ends_of_the_field(curve: Curve) -> None:
    rng, points = random.Random(25), 0
    ends = [0, 1, 2, 3, 18, 19, 20, P - 3, P - 2, P - 1, *range(P, 2**255)]
    for y in ends:
        for sign in (0, 2**255):
            key = number(y | sign)
            points += decode(key) is not None
            # s = 1, and R = base - h A for one h: rarely the right one, so refused as a rule; the same by all
            assert_judged_right(curve, sealed(rng, key, 0, base().encode(), 1))
    assert 10 < points < 2 * len(ends)


def test_random_keys_that_are_points_or_not(curve: Curve) -> None:
    rng, points = random.Random(26), 0
    for _ in range(60):
        key = rng.randbytes(32)
        points += decode(key) is not None
        assert not assert_judged_right(curve, (rng.randbytes(63) + b"\x0f", key, rng.randbytes(8)))
    assert 15 < points < 45
