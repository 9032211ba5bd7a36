# SPDX-License-Identifier: Apache-2.0
"""The interface between the engine and any link: turns go out, events come in.

A *turn* is what goes to one device at a time: any number of blocks, then at most one question. Each question results
in exactly one event: `AnswerReceived` with a matching answer, or `Silent`. The link decides how long to wait, because
only it knows the speed of its line and the other traffic on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.devices.messages import (
    Answer,
    Attest,
    Have,
    Inquire,
    Missing,
    Offer,
    Order,
    Piece,
    Pull,
    Question,
    Signed,
    Stage,
    TransferResult,
    Unanswered,
)
from reconciler.devices.operation_messages import POLL, BuiltinReturned, CallBuiltin, DeviceRequest, ReplyToRequest
from reconciler.devices.stage_messages import FetchStage, OpenSession, StageOutput, StageState
from reconciler.model import DeviceId


@dataclass(frozen=True, slots=True)
class Turn:
    """Blocks, or pieces of an input, then at most one question, for one device."""

    blocks: tuple[Unanswered, ...] = ()
    question: Question | None = None
    block_gap_s: float = 0.0  # the pause that the device needs between two blocks
    answer_s: float = 0.0  # the time that the device needs to answer, in addition to the link's own delay
    before: tuple[FetchStage, ...] = ()  # questions before it, behind a broker alone; nobody waits for their answers

    @property
    def messages(self) -> tuple[Order, ...]:
        """All messages of the turn, in order."""
        return (*self.blocks, *self.before, self.question) if self.question else self.blocks


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    """A device sent an answer, solicited or not."""

    device: DeviceId
    answer: Answer
    asked: bool = True  # it matches the open question


@dataclass(frozen=True, slots=True)
class Silent:
    """A device did not answer a question in time."""

    device: DeviceId
    question: Question


@dataclass(frozen=True, slots=True)
class Presence:
    """A device connected to the link or disconnected."""

    device: DeviceId
    present: bool


@dataclass(frozen=True, slots=True)
class LinkState:
    """Whether the link itself works, and if not, why."""

    up: bool
    why: str = ""


Event = AnswerReceived | Silent | Presence | LinkState


@dataclass(slots=True)
class LinkStatistics:
    """Counters of a link, which only grow, and an estimate of its quality."""

    sent_bytes: int = 0
    received_bytes: int = 0
    questions: int = 0
    answers: int = 0
    silences: int = 0
    unsolicited: int = 0
    malformed: int = 0
    frames_corrected: int = 0
    frames_bad: int = 0
    bit_error_rate: float = 0.0
    unknown: set[str] = field(default_factory=set)  # devices that are not in Git; never served


class Link(Protocol):
    """One broker or one serial line."""

    async def run(self) -> None:
        """Work until cancelled, and reconnect when the link goes down."""

    def send(self, device: DeviceId, turn: Turn) -> None:
        """Queue a turn. Each device has at most one in progress."""

    def cancel(self, device: DeviceId) -> None:
        """Drop what is queued for a device, and stop waiting for its answer."""

    def events(self) -> AsyncIterator[Event]:
        """Yield events without end, to a single reader."""

    @property
    def answers_may_repeat(self) -> bool:
        """Whether an answer can arrive twice: through a broker yes, on a serial line never."""

    def block_bytes(self, max_bytes: int) -> int:
        """Return the block size with the least overhead on this link, at most `max_bytes`."""

    @property
    def statistics(self) -> LinkStatistics:
        """Return the counters."""


def fits(question: Question, answer: Answer) -> bool:
    """Return whether this answer is valid for this question."""
    match question, answer:
        case (Inquire() | Attest(), Signed()) | (Inquire() | Attest() | Pull(), TransferResult(None, _)):
            return True
        case OpenSession() | FetchStage() | CallBuiltin() | ReplyToRequest(), _:
            return _fits_in_session(question, answer)
        case Pull(space=space), Piece(space=given):
            return space == given
        case (Offer() | Missing() | Stage()) as asked, Have(transfer=transfer):
            return asked.transfer == transfer
        case (Offer() | Missing() | Stage()) as asked, TransferResult(transfer=named):
            return named is None or named == asked.transfer
        case _:
            return False


def _fits_in_session(question: Question, answer: Answer) -> bool:
    match question, answer:
        case (_, TransferResult(None, _)) | (OpenSession() | FetchStage(), StageState()):
            return True
        case FetchStage(seq, offset, _), StageOutput(given_seq, given_offset, _, _):
            return (seq, offset) == (given_seq, given_offset)
        case CallBuiltin(seq=seq), BuiltinReturned(seq=given):
            return seq == given
        case CallBuiltin(function=function), DeviceRequest():
            return function == POLL
        case _:
            return False
