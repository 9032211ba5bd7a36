# SPDX-License-Identifier: Apache-2.0
"""Messages and bodies: they round-trip, and only the deterministic form is accepted."""

from __future__ import annotations

import json
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.devices import reports
from reconciler.devices.errors import Malformed
from reconciler.devices.messages import (
    BLOCK_BYTES_MAX,
    ENVELOPE_BYTES_MAX,
    MESSAGE_OVERHEAD_BYTES,
    Block,
    Have,
    Inquire,
    Message,
    Missing,
    Offer,
    PayloadOffer,
    ReportKind,
    Signed,
    Stage,
    TransferResult,
    encode,
    parse,
    parse_answer,
)
from reconciler.devices.operation_messages import BuiltinReturned, CallBuiltin, DeviceRequest, ReplyToRequest
from reconciler.devices.reports import Body, encode_body, parse_body
from reconciler.model import PayloadEncoding, Phase

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "protocol.json").read_text(encoding="utf-8"))

UINT32 = st.integers(0, 2**32 - 1)
COUNTED = st.integers(1, 2**32 - 1)
OCTETS = st.binary(max_size=600)
TRANSFERS = st.integers(0, 23)
DIGESTS16 = st.binary(min_size=16, max_size=16)
MAYBE_DIGEST = st.none() | DIGESTS16
BLOCK_BYTES = st.integers(1, 256).map(lambda sixteenths: sixteenths * 16)
PAYLOADS = st.tuples(st.sampled_from(PayloadEncoding), st.integers(1, 60_000), BLOCK_BYTES).map(
    lambda p: PayloadOffer(*p)
)
HELD = st.binary(max_size=512).map(lambda held: held.rstrip(b"\0"))
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Inquire, st.sampled_from(ReportKind), st.binary(min_size=8, max_size=8)),
    st.builds(
        Offer,
        TRANSFERS,
        st.binary(min_size=1, max_size=ENVELOPE_BYTES_MAX),
        st.none() | PAYLOADS.filter(lambda payload: payload.blocks <= 4096),
    ),
    st.builds(Block, TRANSFERS, st.integers(0, 4095), st.binary(min_size=1, max_size=1024)),
    st.builds(Missing, TRANSFERS),
    st.builds(Stage, TRANSFERS),
    st.builds(Signed, st.binary(min_size=1, max_size=500)),
    st.builds(Have, TRANSFERS, st.integers(0, 4096), HELD),
    st.builds(TransferResult, st.none() | TRANSFERS, st.integers(-(2**31), 1)),
    st.builds(CallBuiltin, COUNTED, st.integers(0, 255), OCTETS, DIGESTS16),
    st.builds(ReplyToRequest, COUNTED, st.integers(-128, 1), OCTETS, DIGESTS16),
    st.builds(DeviceRequest, COUNTED, st.integers(1, 255), OCTETS, DIGESTS16),
    st.builds(BuiltinReturned, COUNTED, st.integers(-128, 0), OCTETS, DIGESTS16),
)

OPEN_TRANSFERS = st.builds(
    reports.OpenTransfer,
    DIGESTS16,
    st.sampled_from(PayloadEncoding),
    UINT32,
    st.integers(0, 4096),
    st.integers(0, 4096),
)
INT32 = st.integers(-(2**31), 2**31 - 1)
SCORES = st.builds(
    reports.Score,
    UINT32,
    INT32,
    INT32,
    st.integers(-(2**63), 2**63 - 1),
    st.lists(UINT32, min_size=8, max_size=8).map(tuple),
)
BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(
        reports.DeviceReport,
        counter=st.integers(0, 2**64 - 1),
        sequence=UINT32,
        epoch=UINT32,
        gateway=st.binary(min_size=8, max_size=8),
        phase=st.sampled_from(list(reports.PHASES)),
        location=st.sampled_from(reports.ModelLocation),
        running=MAYBE_DIGEST,
        other=MAYBE_DIGEST,
        why=st.sampled_from(reports.DecisionReason),
        failed=MAYBE_DIGEST,
        error=INT32,
        flags=st.integers(0, 255).map(reports.Flag),
        parameters=UINT32,
        boots=UINT32,
        inferences=UINT32,
        anomalies=UINT32,
        faults=UINT32,
        transfer=st.none() | OPEN_TRANSFERS,
    ),
    st.builds(
        reports.CapabilitiesBody,
        type=st.text(max_size=7),
        class_id=DIGESTS16,
        pack_format=UINT32,
        operators=st.binary(max_size=32),
        slot_bytes=UINT32,
        arena_bytes=UINT32,
        block_bytes=st.integers(0, 4096),
        block_ms=UINT32,
        updates=st.booleans(),
        prebaked=st.lists(DIGESTS16, max_size=8).map(tuple),
        firmware=st.text(max_size=7),
    ),
    st.builds(reports.Summary, MAYBE_DIGEST, UINT32, UINT32, UINT32, UINT32, st.none() | SCORES),
    st.builds(reports.ParametersBody, MAYBE_DIGEST, st.dictionaries(UINT32, INT32, max_size=8)),
)


@given(MESSAGES)
def test_messages_round_trip(message: Message) -> None:
    assert parse(encode(message)) == message


@given(BODIES)
def test_bodies_round_trip(body: Body) -> None:
    assert parse_body(encode_body(body)) == body


@given(MESSAGES, st.data())
def test_each_message_has_one_encoding(message: Message, data: st.DataObject) -> None:
    changed = bytearray(encode(message))
    at = data.draw(st.integers(0, len(changed) * 8 - 1))
    changed[at // 8] ^= 1 << at % 8
    try:
        parsed = parse(bytes(changed))
    except Malformed:
        return
    assert encode(parsed) == bytes(changed)


@given(st.binary(max_size=64))
def test_garbage_only_raises_malformed(data: bytes) -> None:
    for read in (parse, parse_body):
        try:
            read(data)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "data",
    [
        cbor2.dumps([False, 0, bytes(8)]),  # False is not zero
        cbor2.dumps([3, True]),
        cbor2.dumps([3.0, 1]),
        cbor2.dumps([3, 1]) + b"\0",  # followed by one more byte
        bytes.fromhex("9f0301ff"),  # indefinite length
        bytes.fromhex("820318" + "01"),  # a number that a shorter head could hold
        bytes.fromhex("c1820301"),  # a tag
        cbor2.dumps([13, 1, 0, b"\x01\0"]),  # the bitmap ends in zero
        cbor2.dumps([1, 1, b"e", [0, 64, 24]]),  # a block size that is not a multiple of 16
        cbor2.dumps([1, 1, b"e", [0, 64, 0]]),
        cbor2.dumps([1, 1, b"e", [0, 65_537, 16]]),  # too many blocks
        cbor2.dumps([1, 1, b"e", [0, 0, 16]]),  # no block
        cbor2.dumps([14, 1, 2]),  # no such result
        cbor2.dumps([7]),
        b"",
        b"\x81" * 100_000,  # endless nesting
        bytes.fromhex("5bffffffffffffffff"),  # claims an absurd length
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


def test_the_longest_block_round_trips() -> None:
    block = Block(23, 4095, b"\xff" * BLOCK_BYTES_MAX)
    assert parse(encode(block)) == block


def test_a_message_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    longest = b"\xff" * (MESSAGE_OVERHEAD_BYTES + BLOCK_BYTES_MAX)
    with pytest.raises(Malformed, match="not CBOR"):
        parse(longest)
    with pytest.raises(Malformed, match=f"a message of {len(longest) + 1} bytes"):
        parse(longest + b"\xff")


def test_a_message_of_a_gateway_is_not_an_answer() -> None:
    with pytest.raises(Malformed, match="Missing"):
        parse_answer(encode(Missing(1)))


@given(st.integers(1, 200), st.sets(st.integers(0, 199)))
def test_have_lists_exactly_the_missing_blocks(blocks: int, held: set[int]) -> None:
    held = {index for index in held if index < blocks}
    first = next((index for index in range(blocks) if index not in held), blocks)
    marks = sum(1 << (index - first - 1) for index in held if index > first)
    have = Have(1, first, marks.to_bytes(512, "little").rstrip(b"\0"))
    assert have.missing(blocks) == [index for index in range(blocks) if index not in held]


@pytest.mark.parametrize("first", [5, 6])
def test_nothing_is_missing_when_the_first_missing_block_is_after_the_last(first: int) -> None:
    assert Have(1, first, b"").missing(5) == []


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert encode(parse(data)) == data
    assert repr(parse(data)) == vector["python"]


@pytest.mark.parametrize("vector", VECTORS["bodies"], ids=lambda vector: vector["name"])
def test_vectors_of_bodies(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert encode_body(parse_body(data)) == data


@pytest.mark.parametrize("vector", VECTORS["malformed"], ids=lambda vector: vector["name"])
def test_vectors_of_rejected_messages(vector: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        parse(bytes.fromhex(vector["bytes"]))


def test_phases_are_numbered_as_in_the_specification() -> None:
    assert [phase.value for phase in reports.PHASES] == ["idle", "receiving", "staged", "trial", "confirmed"]
    assert set(reports.PHASES) == set(Phase)
