# SPDX-License-Identifier: Apache-2.0
"""Payloads decode to the pack, and are never larger than raw."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compiler.errors import PackMalformed
from reconciler.compiler.payload.encoded_payload import EncodedPayload
from reconciler.compiler.payload.payload_encodings import candidates, decode, smallest
from reconciler.model import PayloadEncoding
from reconciler.model import PayloadEncoding as Packed


def test_a_payload_that_decodes_to_too_few_bytes_is_refused() -> None:
    with pytest.raises(PackMalformed, match=r"decodes to \d+ bytes, not 100"):
        decode(EncodedPayload(Packed.HEATSHRINK, b"\0\0"), 100)


BYTES = st.binary(min_size=1, max_size=600)


def heatshrink_by_the_specification(data: bytes, length: int) -> bytes:
    """The decoder that docs/specs/patch.md describes, word by word."""
    bits = "".join(f"{byte:08b}" for byte in data)
    out, at = bytearray(256), 0
    while len(out) < 256 + length:
        if bits[at] == "1":
            out.append(int(bits[at + 1 : at + 9], 2))
            at += 9
        else:
            distance, count = int(bits[at + 1 : at + 9], 2) + 1, int(bits[at + 9 : at + 13], 2) + 1
            for _ in range(count):
                out.append(out[-distance])
            at += 13
    return bytes(out[256 : 256 + length])


@settings(max_examples=150, deadline=None)
@given(target=BYTES, source=BYTES)
def test_every_encoding_decodes_to_the_pack(target: bytes, source: bytes) -> None:
    for payload in candidates(target, source):
        assert decode(payload, len(target), source) == target


@settings(max_examples=100, deadline=None)
@given(target=st.one_of(BYTES, st.integers(1, 700).map(bytes), BYTES.map(lambda b: b[:9] * 40)))
def test_heatshrink_is_as_the_specification_describes(target: bytes) -> None:
    (packed,) = [p for p in candidates(target) if p.encoding is PayloadEncoding.HEATSHRINK]
    assert heatshrink_by_the_specification(packed.data, len(target)) == target


@settings(max_examples=100, deadline=None)
@given(target=BYTES, source=st.one_of(st.none(), BYTES))
def test_no_payload_is_larger_than_raw(target: bytes, source: bytes | None) -> None:
    assert len(smallest(target, source).data) <= len(target)


def test_a_device_without_room_to_decode_gets_raw() -> None:
    pack = bytes(8000)
    assert smallest(pack, slot_bytes=8192).encoding is PayloadEncoding.RAW
    assert smallest(pack, slot_bytes=16384).encoding is not PayloadEncoding.RAW
