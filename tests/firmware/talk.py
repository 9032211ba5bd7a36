# SPDX-License-Identifier: Apache-2.0
"""Runs conversations of the gateway step by step against one device, wherever that device runs."""

from __future__ import annotations

import hashlib
import random
import select
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from reconciler.devices.conversation import Answered, Conversation, ConversationStep, Inquiry, Outcome
from reconciler.devices.errors import Malformed
from reconciler.devices.messages import Answer, Piece, Question, ReportKind, encode, parse_answer
from reconciler.devices.reports import Body, DeviceReport
from reconciler.devices.serial_frame import Deframer, encode_frame
from reconciler.devices.transfer import Transfer, TransferJob
from reconciler.model import DeviceId
from tests.firmware.bench import Made

ANSWER_S = 5.0  # for an emulator on a busy machine; a real device is faster
FRAME_BYTES_MAX = 1300
CHANCE = random.Random(8)


class Device(Protocol):
    """Anything that takes messages and answers questions."""

    def say(self, message: bytes) -> None:
        """Send a message that is not answered."""

    def ask(self, message: bytes) -> bytes | None:
        """Send a question; return the answer, or None when none comes in time."""

    def hear(self) -> bytes | None:
        """Return the next message of the device, or None when none comes in time."""

    def let_pass(self, seconds: float) -> None:
        """Let the device work on its own for a while."""


@runtime_checkable
class Timed(Protocol):
    """A device whose time is virtual; of others, it is that of this machine."""

    def now_s(self) -> float:
        """Return its time."""


class LineEnd(Protocol):
    """The methods of a socket, or of a pty with an adapter."""

    def fileno(self) -> int: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, most: int, /) -> bytes: ...


class SerialDevice:
    """A device at one address of a serial line."""

    def __init__(self, line: LineEnd, address: int, *, answer_s: float = ANSWER_S) -> None:
        self._line, self._address, self._answer_s = line, address, answer_s
        self._deframer = Deframer(coded_bytes_max=FRAME_BYTES_MAX)

    def say(self, message: bytes) -> None:
        self._line.sendall(encode_frame(self._address, message, opening=True))

    def ask(self, message: bytes) -> bytes | None:
        self._deframer.reset()
        self.say(message)
        return self.hear()

    def hear(self) -> bytes | None:
        ends = time.monotonic() + self._answer_s
        while (left := ends - time.monotonic()) > 0:
            readable, _, _ = select.select([self._line], [], [], left)
            if not readable:
                return None
            data = self._line.recv(4096)
            if not data:
                raise ConnectionError("the line is gone")
            for frame in self._deframer.feed(data):
                if frame.address == self._address:
                    return frame.message
        return None

    def let_pass(self, seconds: float) -> None:
        time.sleep(seconds)  # the gateway polls at this pace; there is no event to wait for


def question(device: Device, asked: Question) -> Answer | None:
    """Ask one question."""
    data = device.ask(encode(asked))
    return None if data is None else parse_answer(data)


def hold(conversation: Conversation, device: Device, *, limit: int = 2000) -> Outcome:
    """Run a conversation to its end."""
    now_s = device.now_s if isinstance(device, Timed) else time.monotonic
    began = now_s()
    step = conversation.begin(0.0)
    for _ in range(limit):
        if conversation.outcome is not None:
            return conversation.outcome
        turn = step.turn
        if turn is not None:
            for block in turn.blocks:
                device.say(encode(block))
        if turn is not None and turn.question is not None:
            step = put(conversation, turn.question, device, lambda: now_s() - began)
        else:
            device.let_pass(step.wake_after_s or 0.0)
            step = conversation.woken(now_s() - began)
    raise AssertionError(f"no end after {limit} steps")


def put(
    conversation: Conversation, asked: Question, device: Device, elapsed_s: Callable[[], float]
) -> ConversationStep:
    """Ask a question, and skip messages that do not answer it, such as unsolicited reports."""
    data = device.ask(encode(asked))
    while data is not None:
        step = heard(conversation, data, elapsed_s())
        if step is not None:
            return step
        data = device.hear()
    return conversation.silent(elapsed_s())


def heard(conversation: Conversation, data: bytes, now_s: float) -> ConversationStep | None:
    """Pass on an answer, unless it was damaged on the way."""
    try:
        return conversation.heard(parse_answer(data), now_s)
    except Malformed:
        return None


def fresh_nonce() -> bytes:
    """Return a nonce that no other question has; a run of the tests draws the same ones as the last."""
    return CHANCE.randbytes(8)


def ask(device: Device, made: Made, what: ReportKind) -> Body:
    """Ask for one of the signed bodies, and verify it."""
    inquiry = Inquiry(DeviceId(made.name), what, open_signed=made.open_signed, make_nonce=fresh_nonce)
    outcome = hold(inquiry, device)
    assert isinstance(outcome, Answered), outcome
    assert not isinstance(outcome.body, Piece)
    return outcome.body


def report_of(device: Device, made: Made) -> DeviceReport:
    body = ask(device, made, ReportKind.REPORT)
    assert isinstance(body, DeviceReport)
    return body


def digest16(pack: bytes) -> bytes:
    return hashlib.sha256(pack).digest()[:16]


def job(made: Made, envelope: bytes, pack: bytes, before: DeviceReport, *, block_bytes: int = 256) -> TransferJob:
    """Everything that an update to `pack` by `envelope` needs, after the report `before`."""
    return TransferJob(
        device=DeviceId(made.name),
        transfer=(before.sequence + 1) % 24,
        envelope=envelope,
        sequence=before.sequence + 1,
        counter=before.counter,
        digest16=digest16(pack),
        payload=pack,
        block_bytes=block_bytes,
    )


def update(device: Device, made: Made, work: TransferJob) -> tuple[Outcome, Transfer]:
    """Run an update to its end."""
    transfer = Transfer(work, open_signed=made.open_signed, make_nonce=lambda: CHANCE.randbytes(8))
    return hold(transfer, device), transfer


def first_blocks(device: Device, work: TransferJob, count: int) -> None:
    """Make an offer and send only the first blocks, like a gateway that loses its connection."""
    answer = question(device, work.offer)
    assert answer is not None, "no answer to the offer"
    for index in range(count):
        device.say(encode(work.block(index)))


__all__ = [
    "SerialDevice",
    "ask",
    "digest16",
    "first_blocks",
    "hold",
    "job",
    "question",
    "report_of",
    "update",
]
