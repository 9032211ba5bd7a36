# SPDX-License-Identifier: Apache-2.0
"""Messages survive a round trip, and nothing else is accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.bus.data_parts import DataParts
from reconciler.bus.messages import AskMessage, BusMessage, DoneMessage, PartMessage, TakenMessage, encode, parse, parts
from reconciler.devices.errors import Malformed
from reconciler.operations.codes import AnswerCode
from reconciler.operations.limits import DATA_BYTES_MAX, PARTS_S
from tests.operations.descriptions import DESCRIPTORS

CALLS = st.binary(min_size=8, max_size=8)
MESSAGES = st.one_of(
    st.builds(
        AskMessage,
        CALLS,
        st.sampled_from(["a.b", "data.put.vibration"]),
        st.one_of(DESCRIPTORS, st.binary(min_size=8, max_size=8)),
        st.integers(1, 600_000),
        st.one_of(st.none(), st.binary(max_size=40)),
        st.lists(st.sampled_from("abcd"), max_size=4).map(tuple),
    ),
    st.builds(TakenMessage, CALLS, st.sampled_from(["north", "south"])),
    st.builds(DoneMessage, CALLS, st.just(AnswerCode.DONE), st.just("north"), st.integers(0, 9), st.binary(max_size=9)),
    st.builds(DoneMessage, CALLS, st.just(AnswerCode.BUSY), st.just("north"), st.integers(0, 9), st.text(max_size=9)),
    st.builds(PartMessage, CALLS, st.integers(0, 99), st.just(DATA_BYTES_MAX), st.binary(min_size=1, max_size=9)),
)


@given(MESSAGES)
def test_messages_survive_a_round_trip(message: BusMessage) -> None:
    assert parse(encode(message)) == message


@given(MESSAGES, st.data())
def test_a_damaged_message_is_refused_or_is_another_one(message: BusMessage, data: st.DataObject) -> None:
    """Nothing but `Malformed` is raised, and what is accepted has one encoding only."""
    payload = bytearray(encode(message))
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parsed = parse(bytes(payload))
    except Malformed:
        return
    assert encode(parsed) == bytes(payload)


@pytest.mark.parametrize("operation", ["a", "A.b", "a..b", "a.b\n", "a." + "b" * 95, ".a"])
def test_names_of_operations_are_checked(operation: str) -> None:
    with pytest.raises(Malformed):
        parse(encode(AskMessage(bytes(8), operation, bytes(8), 1, b"")))


@given(st.binary(min_size=4001, max_size=9000))
def test_data_arrives_in_parts(data: bytes) -> None:
    arriving = DataParts()
    made = parts(b"12345678", data)
    for part in made:
        assert arriving.add("a", part, 0.0)
        assert not arriving.add("b", made[-1], 0.0)  # another sender has sent no beginning
    assert arriving.take("a", b"12345678") == data
    assert arriving.take("a", b"12345678") is None


def test_parts_that_do_not_continue_or_come_too_late_are_dropped() -> None:
    first, second, third = parts(b"12345678", bytes(9000))
    arriving = DataParts(bytes_max=8500)
    assert arriving.add("a", first, 0.0)
    assert not arriving.add("a", third, 0.0)
    assert arriving.add("a", second, 0.0)
    assert not arriving.add("a", third, 0.0)  # more than may be kept
    assert arriving.take("a", b"12345678") is None
    assert arriving.add("a", first, 1.0)
    assert not arriving.add("a", second, 1.0 + PARTS_S)
