# SPDX-License-Identifier: Apache-2.0
"""The port between the engine and any link: turns go out, events come in.

A *turn* is what goes to one device at once: any number of blocks, then at most one question. Each question
ends in exactly one event: `AnswerReceived` with an answer that fits it, or `Silent`. How long to wait is the link's
business, because only it knows the speed of its line and who else is using it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.devices.messages import (
    Answer,
    Attest,
    Block,
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
)
from reconciler.model import DeviceId


@dataclass(frozen=True, slots=True)
class Turn:
    """Blocks, then at most one question, for one device."""

    blocks: tuple[Block, ...] = ()
    question: Question | None = None
    block_gap_s: float = 0.0  # what the device needs between two blocks
    answer_s: float = 0.0  # what the device may need to answer, beyond what the link takes anyway

    @property
    def messages(self) -> tuple[Order, ...]:
        """All of it, in order."""
        return (*self.blocks, self.question) if self.question else self.blocks


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    """A device said something, asked or not."""

    device: DeviceId
    answer: Answer
    asked: bool = True  # it fits the question that is open


@dataclass(frozen=True, slots=True)
class Silent:
    """A device did not answer a question in time."""

    device: DeviceId
    question: Question


@dataclass(frozen=True, slots=True)
class Presence:
    """A device came to the link, or left it."""

    device: DeviceId
    there: bool


@dataclass(frozen=True, slots=True)
class LinkState:
    """The link itself works, or does not and why."""

    up: bool
    why: str = ""


Event = AnswerReceived | Silent | Presence | LinkState


@dataclass(slots=True)
class LinkStatistics:
    """What passed over a link, and how well. Counters only grow."""

    sent_bytes: int = 0
    heard_bytes: int = 0
    questions: int = 0
    answers: int = 0
    silences: int = 0
    unsolicited: int = 0
    malformed: int = 0
    frames_corrected: int = 0
    frames_bad: int = 0
    bit_error_rate: float = 0.0
    unknown: set[str] = field(default_factory=set)  # who spoke without being listed; never served


class Link(Protocol):
    """One broker or one serial line."""

    async def run(self) -> None:
        """Work until cancelled; a link that goes down is brought up again."""

    def send(self, device: DeviceId, turn: Turn) -> None:
        """Queue a turn; a device has at most one under way."""

    def cancel(self, device: DeviceId) -> None:
        """Forget what is queued for a device, and expect no answer of it."""

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens, for ever; one reader."""

    @property
    def answers_may_double(self) -> bool:
        """Tell whether an answer can be heard twice: through a broker yes, on a line never."""

    def block_bytes(self, most: int) -> int:
        """Return the block size that wastes least on this link, at most what the device takes."""

    @property
    def statistics(self) -> LinkStatistics:
        """Return what passed so far."""


def fits(question: Question, answer: Answer) -> bool:
    """Tell whether this answer can be one to this question."""
    match question, answer:
        case (Inquire() | Attest(), Signed()) | (Inquire() | Attest() | Pull(), TransferResult(None, _)):
            return True
        case Pull(space=space), Piece(space=given):
            return space == given
        case (Offer() | Missing() | Stage()) as asked, Have(transfer=transfer):
            return asked.transfer == transfer
        case (Offer() | Missing() | Stage()) as asked, TransferResult(transfer=named):
            return named is None or named == asked.transfer
        case _:
            return False
