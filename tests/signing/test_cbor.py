# SPDX-License-Identifier: Apache-2.0
"""The strict CBOR reader, for rules that an envelope cannot test separately."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing.cbor import CborReader, encode
from signing.verification_error import VerificationError


@pytest.mark.parametrize(
    ("data", "read", "verdict"),
    [
        ("", CborReader.null, "TRUNCATED"),
        ("18", CborReader.integer, "TRUNCATED"),
        ("1900", CborReader.integer, "TRUNCATED"),
        ("1817", CborReader.integer, "NOT_CANONICAL"),
        ("1900ff", CborReader.integer, "NOT_CANONICAL"),
        ("1a0000ffff", CborReader.integer, "NOT_CANONICAL"),
        ("1b0000000100000000", CborReader.integer, "OUT_OF_RANGE"),
        ("1b", CborReader.integer, "OUT_OF_RANGE"),
        ("1c", CborReader.integer, "NOT_CANONICAL"),
        ("1f", CborReader.integer, "NOT_CANONICAL"),
        ("5f", CborReader.byte_string, "NOT_CANONICAL"),
        ("1a80000000", CborReader.integer, "OUT_OF_RANGE"),
        ("3a80000000", CborReader.integer, "OUT_OF_RANGE"),
        ("f6", CborReader.integer, "UNEXPECTED"),
        ("f5", CborReader.null, "UNEXPECTED"),
        ("4201", CborReader.byte_string, "TRUNCATED"),
        ("00", CborReader.end, "TRAILING"),
    ],
)
def test_rejected_input(data: str, read: Callable[[CborReader], object], verdict: str) -> None:
    with pytest.raises(VerificationError) as refusal:
        read(CborReader(bytes.fromhex(data)))
    assert refusal.value.code.name == verdict
    assert str(refusal.value) == f"{verdict}: {refusal.value.detail}"


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_round_trip(value: int) -> None:
    reader = CborReader(encode(value))
    assert reader.integer() == value
    reader.end()


@given(st.binary(max_size=300))
def test_byte_strings_round_trip(value: bytes) -> None:
    reader = CborReader(encode(value))
    assert reader.byte_string() == value
    reader.end()


@given(st.binary(max_size=40))
def test_random_bytes_are_either_read_or_rejected(noise: bytes) -> None:
    reader = CborReader(noise)
    try:
        while True:
            reader.head()
    except VerificationError:
        assert reader.at <= len(noise)
