# SPDX-License-Identifier: Apache-2.0
"""Frames: round trips, and every single bit error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.devices.serial_frame import Deframer, SerialFrame, cobs_decode, cobs_encode, decode_frame, encode_frame

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "frames.json").read_text(encoding="utf-8"))
ADDRESSES = st.integers(0, 247)
ZERO_RICH = st.lists(st.sampled_from([0, 0, 1, 255]), max_size=600).map(bytes)


@given(st.binary(max_size=600) | ZERO_RICH)
def test_cobs_round_trip_has_no_zero_and_costs_little(data: bytes) -> None:
    coded = cobs_encode(data)
    assert 0 not in coded
    assert len(coded) <= len(data) + 1 + len(data) // 254
    assert cobs_decode(coded) == data


@pytest.mark.parametrize("length", [253, 254, 255, 508, 509])
def test_cobs_at_the_edges_of_a_run(length: int) -> None:
    for data in (b"\x11" * length, b"\x11" * length + b"\0", b"\0" + b"\x11" * length):
        assert cobs_decode(cobs_encode(data)) == data


@given(ADDRESSES, st.binary(min_size=1, max_size=400) | ZERO_RICH.filter(len))
def test_frames_are_found_in_a_stream_split_anywhere(address: int, message: bytes) -> None:
    stream = encode_frame(address, message, opening=True) + encode_frame(address, message)
    deframer = Deframer(coded_bytes_max=1200)
    frames = [frame for at in range(0, len(stream), 7) for frame in deframer.feed(stream[at : at + 7])]
    assert frames == [SerialFrame(address, message)] * 2


@given(ADDRESSES, st.binary(min_size=1, max_size=80), st.data())
def test_any_flipped_bit_is_repaired_or_rejected(address: int, message: bytes, data: st.DataObject) -> None:
    sent = encode_frame(address, message, opening=True)
    at = data.draw(st.integers(0, len(sent) * 8 - 1))
    received = bytearray(sent)
    received[at // 8] ^= 1 << at % 8
    frames = Deframer(coded_bytes_max=1200).feed(bytes(received) + b"\0")
    assert frames in ([], [SerialFrame(address, message)], [SerialFrame(address, message, corrected=True)])


def test_nearly_every_flipped_bit_is_repaired() -> None:
    message = bytes(range(1, 200))
    sent = encode_frame(9, message)
    repaired = 0
    for at in range(len(sent) * 8):
        received = bytearray(sent)
        received[at // 8] ^= 1 << at % 8
        repaired += Deframer(coded_bytes_max=1200).feed(bytes(received)) == [SerialFrame(9, message, corrected=True)]
    assert repaired / (len(sent) * 8) > 0.97


@given(st.binary(min_size=1, max_size=60), st.data())
def test_two_flipped_bits_are_never_repaired_as_one(message: bytes, data: st.DataObject) -> None:
    body = cobs_decode(encode_frame(3, message)[:-1])
    assert body is not None
    first, second = data.draw(st.lists(st.integers(0, len(body) * 8 - 1), min_size=2, max_size=2, unique=True))
    received = bytearray(body)
    received[first // 8] ^= 1 << first % 8
    received[second // 8] ^= 1 << second % 8
    assert decode_frame(cobs_encode(bytes(received))) is None


@given(st.binary(max_size=3000))
def test_noise_neither_grows_the_buffer_nor_raises(noise: bytes) -> None:
    deframer = Deframer(coded_bytes_max=100)
    deframer.feed(noise)
    assert len(deframer._pending) <= 100


def test_an_endless_frame_is_dropped_and_the_next_one_received() -> None:
    deframer = Deframer(coded_bytes_max=100)
    assert deframer.feed(b"\x05" * 5000) == []
    assert deframer.feed(encode_frame(1, b"hello", opening=True)) == [SerialFrame(1, b"hello")]
    assert deframer.bad == 1


@pytest.mark.parametrize("vector", VECTORS["encode"], ids=lambda vector: vector["name"])
def test_vectors_encode(vector: dict[str, str]) -> None:
    frame = encode_frame(int(vector["address"]), bytes.fromhex(vector["message"]), opening=True)
    assert frame.hex() == vector["frame"]


@pytest.mark.parametrize("vector", VECTORS["decode"], ids=lambda vector: vector["name"])
def test_vectors_decode(vector: dict[str, Any]) -> None:
    frames = Deframer(coded_bytes_max=1200).feed(bytes.fromhex(vector["bytes"]))
    received = [{"address": f.address, "message": f.message.hex(), "corrected": f.corrected} for f in frames]
    assert received == vector["frames"]
