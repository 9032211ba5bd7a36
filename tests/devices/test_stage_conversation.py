# SPDX-License-Identifier: Apache-2.0
"""A run of a stage asks for outputs ahead, takes them in order, and asks again for what is lost."""

from __future__ import annotations

from reconciler.devices.conversation import ConversationStep, StageRan
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.stage_conversation import StageRun
from reconciler.devices.stage_messages import OUT_TYPE, FetchStage, StageOutput
from reconciler.model import DeviceId
from signing.session import SessionKey

KEY = SessionKey(bytes(32), b"test")
SIZES = (2500, 1024, 3)  # pieces of 1024, 1024, 452, 1024 and 3 bytes
OUTPUTS = bytes(index % 251 for index in range(sum(SIZES)))
OFFSETS = [0, 1024, 2048, 2500, 3524]


def run(ahead: int) -> StageRun:
    return StageRun(DeviceId("cam"), DeviceSession(1, KEY), (b"input",), SIZES, ahead=ahead)


def asked(step: ConversationStep | None) -> list[int]:
    """Return the offsets that a step asks for."""
    assert step is not None
    if step.turn is None:
        return []
    assert isinstance(step.turn.question, FetchStage)
    return [each.offset for each in (*step.turn.before, step.turn.question)]


def out(offset: int) -> StageOutput:
    """Return the device's answer to a question for this offset."""
    end = next(edge for edge in (2500, 3524, 3527) if edge > offset)
    data = OUTPUTS[offset : min(end, offset + 1024)]
    return StageOutput(1, offset, data, KEY.tag(OUT_TYPE, 1, offset, data))


def test_behind_a_broker_all_further_pieces_are_asked_for_at_once() -> None:
    going = run(ahead=16)
    assert asked(going.begin(0.0)) == [0]  # until it is answered, the input may not be complete
    assert asked(going.heard(out(0), 0.0)) == OFFSETS[1:]
    for offset in OFFSETS[1:-1]:
        assert asked(going.heard(out(offset), 0.0)) == []
    going.heard(out(OFFSETS[-1]), 0.0)
    assert going.outcome == StageRan(OUTPUTS)


def test_a_window_of_pieces_is_followed_by_the_next_one() -> None:
    going = run(ahead=2)
    going.begin(0.0)
    assert asked(going.heard(out(0), 0.0)) == OFFSETS[1:3]
    assert asked(going.heard(out(OFFSETS[1]), 0.0)) == []
    assert asked(going.heard(out(OFFSETS[2]), 0.0)) == OFFSETS[3:]


def test_on_a_line_each_answer_is_awaited() -> None:
    going = run(ahead=1)
    step: ConversationStep | None = going.begin(0.0)
    for offset in OFFSETS:
        assert asked(step) == [offset]
        step = going.heard(out(offset), 0.0)
    assert going.outcome == StageRan(OUTPUTS)


def test_a_piece_that_is_lost_is_asked_for_again() -> None:
    going = run(ahead=16)
    going.begin(0.0)
    going.heard(out(0), 0.0)
    assert going.heard(out(OFFSETS[2]), 0.0) is None  # the one before it was lost
    assert asked(going.woken(0.0)) == [OFFSETS[1]]
    assert asked(going.heard(out(OFFSETS[1]), 0.0)) == OFFSETS[2:]
    assert going.heard(out(OFFSETS[1]), 0.0) is None  # a double
    for offset in OFFSETS[2:]:
        going.heard(out(offset), 0.0)
    assert going.outcome == StageRan(OUTPUTS)


def test_a_device_with_a_small_buffer_is_asked_for_shorter_pieces() -> None:
    going = run(ahead=16)
    going.begin(0.0)
    data = OUTPUTS[:600]
    first = StageOutput(1, 0, data, KEY.tag(OUT_TYPE, 1, 0, data))
    assert asked(going.heard(first, 0.0)) == [600, 1200, 1800, 2400, 2500, 3100, 3524]
