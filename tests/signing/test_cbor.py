# SPDX-License-Identifier: Apache-2.0
"""The strict reader on its own, where an envelope can't show each rule apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing.cbor import Reader, encode
from signing.verdict import RefusedError


@pytest.mark.parametrize(
    ("data", "read", "verdict"),
    [
        ("", Reader.null, "TRUNCATED"),
        ("18", Reader.integer, "TRUNCATED"),
        ("1900", Reader.integer, "TRUNCATED"),
        ("1817", Reader.integer, "NOT_CANONICAL"),
        ("1900ff", Reader.integer, "NOT_CANONICAL"),
        ("1a0000ffff", Reader.integer, "NOT_CANONICAL"),
        ("1b0000000100000000", Reader.integer, "OUT_OF_RANGE"),
        ("1b", Reader.integer, "OUT_OF_RANGE"),
        ("1c", Reader.integer, "NOT_CANONICAL"),
        ("1f", Reader.integer, "NOT_CANONICAL"),
        ("5f", Reader.byte_string, "NOT_CANONICAL"),
        ("1a80000000", Reader.integer, "OUT_OF_RANGE"),
        ("3a80000000", Reader.integer, "OUT_OF_RANGE"),
        ("f6", Reader.integer, "UNEXPECTED"),
        ("f5", Reader.null, "UNEXPECTED"),
        ("4201", Reader.byte_string, "TRUNCATED"),
        ("00", Reader.end, "TRAILING"),
    ],
)
def test_what_is_refused(data: str, read: Callable[[Reader], object], verdict: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        read(Reader(bytes.fromhex(data)))
    assert refusal.value.verdict.name == verdict
    assert str(refusal.value) == f"{verdict}: {refusal.value.detail}"


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_come_back(value: int) -> None:
    reader = Reader(encode(value))
    assert reader.integer() == value
    reader.end()


@given(st.binary(max_size=300))
def test_byte_strings_come_back(value: bytes) -> None:
    reader = Reader(encode(value))
    assert reader.byte_string() == value
    reader.end()


@given(st.binary(max_size=40))
def test_noise_is_read_or_refused_and_nothing_else(noise: bytes) -> None:
    reader = Reader(noise)
    try:
        while True:
            reader.head()
    except RefusedError:
        assert reader.at <= len(noise)
