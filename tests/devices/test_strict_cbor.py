# SPDX-License-Identifier: Apache-2.0
"""Each expectation accepts the ends of its range, refuses what is just outside, and says what it expected."""

from __future__ import annotations

import pytest

from reconciler.devices.errors import Malformed
from reconciler.devices.strict_cbor import integer, items, octets, text, truth, uint


def test_an_array_has_one_of_the_lengths() -> None:
    assert items([1, 2], "point", 2, 3) == [1, 2]
    assert items([1, 2, 3], "point", 2, 3) == [1, 2, 3]
    with pytest.raises(Malformed, match="point must be an array of 2 or 3 items"):
        items([1], "point", 2, 3)


def test_an_array_of_any_length() -> None:
    assert items([], "list") == []
    assert items([1] * 9, "list") == [1] * 9
    with pytest.raises(Malformed, match="list must be an array of any number of items"):
        items(b"12", "list")


@pytest.mark.parametrize("value", [0, 23])
def test_unsigned_number_in_range(value: int) -> None:
    assert uint(value, "n", end=24) == value


@pytest.mark.parametrize("value", [-1, 24, True, 1.0, "1", None])
def test_unsigned_number_out_of_range(value: object) -> None:
    with pytest.raises(Malformed, match="n must be a whole number from 0 to 23"):
        uint(value, "n", end=24)


@pytest.mark.parametrize("bits", [32, 64])
def test_signed_number(bits: int) -> None:
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert integer(least, "n", bits=bits) == least
    assert integer(most, "n", bits=bits) == most
    for value in (least - 1, most + 1, True, 1.0):
        with pytest.raises(Malformed, match=f"n must be a whole number of {bits} bits"):
            integer(value, "n", bits=bits)


@pytest.mark.parametrize("value", [b"12", b"1234"])
def test_byte_string_of_allowed_length(value: bytes) -> None:
    assert octets(value, "key", min_bytes=2, max_bytes=4) == value


@pytest.mark.parametrize("value", [b"1", b"12345", "123", [1, 2, 3], None])
def test_byte_string_of_another_length_or_type(value: object) -> None:
    with pytest.raises(Malformed, match="key must be a byte string of 2 to 4 bytes"):
        octets(value, "key", min_bytes=2, max_bytes=4)


@pytest.mark.parametrize("value", ["", "1234", "äö"])
def test_text_of_allowed_length(value: str) -> None:
    assert text(value, "name", max_bytes=4) == value


@pytest.mark.parametrize("value", ["12345", "äö.", b"123", None])
def test_text_of_another_length_or_type(value: object) -> None:
    with pytest.raises(Malformed, match="name must be text of at most 4 bytes"):
        text(value, "name", max_bytes=4)


@pytest.mark.parametrize("value", [True, False])
def test_truth(*, value: bool) -> None:
    assert truth(value, "on") is value


@pytest.mark.parametrize("value", [1, 0, None])
def test_what_is_neither_true_nor_false(value: object) -> None:
    with pytest.raises(Malformed, match="on must be true or false"):
        truth(value, "on")
