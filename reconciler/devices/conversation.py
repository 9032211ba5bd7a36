# SPDX-License-Identifier: Apache-2.0
"""Conversations with one device, as pure state machines: events in, turns and one timer out.

A conversation has no clock, no thread and no link. Its runner (session.py) calls `begin` once, and then `heard`,
`silent` or `woken` for each event, and carries out the returned `ConversationStep`. Each step replaces the timer of the
previous one. Once `outcome` is set, the conversation is over and further steps do nothing.

For an answer of no use (late, duplicated, to another question) `heard` returns `None`, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.devices.link import Turn
from reconciler.devices.messages import (
    Answer,
    Attest,
    Inquire,
    Piece,
    Pull,
    Question,
    ReportKind,
    SampleSpace,
    Signed,
    TransferResult,
)
from reconciler.devices.operation_messages import DeviceRequest
from reconciler.devices.reports import (
    Body,
    CapabilitiesBody,
    DeviceReport,
    ParametersBody,
    SamplesAttestation,
    Summary,
    parse_body,
)
from reconciler.errors import Refused
from reconciler.model import DeviceId

OpenSigned = Callable[[bytes, bytes], bytes]  # (COSE object, nonce) to body; raises Refused
MakeNonce = Callable[[], bytes]
UNASKED = b""  # the nonce of a body that the device sends on its own


@dataclass(frozen=True, slots=True)
class ConversationStep:
    """What to do next: send a turn, wake the conversation later, both, or neither."""

    turn: Turn | None = None
    wake_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The device sent what it was asked for."""

    body: Body | Piece


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The device runs the offered pack, and its signed report confirms it."""

    report: DeviceReport


@dataclass(frozen=True, slots=True)
class Rejected:
    """A refusal in the device's name that no signed report confirms or disproves; `code` is the error code.

    It may be forged, so it says nothing about the pack: the order is tried again later.
    """

    code: int
    during: str


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """The device tried the new model and fell back; its report has the reason."""

    report: DeviceReport


@dataclass(frozen=True, slots=True)
class Lost:
    """The device does not answer or makes no progress. It keeps its blocks, and the next attempt resumes there."""

    why: str


class SessionOutcome:
    """The end of a conversation in a session (device_session.py)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SessionOpened(SessionOutcome):
    """The device has confirmed the key of a session."""


@dataclass(frozen=True, slots=True)
class StageRan(SessionOutcome):
    """The outputs of a stage, one after the other."""

    outputs: bytes


@dataclass(frozen=True, slots=True)
class RotationAnswered:
    """An answer to a rotation of the root. It is not signed: the next report shows which root is in force."""

    code: int


@dataclass(frozen=True, slots=True)
class BuiltinRan(SessionOutcome):
    """A built-in of the device returned: 0, or a negative code and no data."""

    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Requested(SessionOutcome):
    """The device asks for an operation."""

    request: DeviceRequest


@dataclass(frozen=True, slots=True)
class ReplyHeard(SessionOutcome):
    """The device has the reply to its request."""


Outcome = (
    Answered
    | Confirmed
    | Rejected
    | TrialFailed
    | Lost
    | SessionOpened
    | StageRan
    | BuiltinRan
    | Requested
    | ReplyHeard
    | RotationAnswered
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to ask again, and when to give up for now."""

    silences: int = 6  # in a row
    answer_s: float = 2.0  # signing takes up to seconds on a small core
    max_answer_s: float = 0.0  # if more than answer_s: each silence doubles the wait up to this
    first_poll_s: float = 0.1
    max_poll_s: float = 10.0
    trial_s: float = 120.0

    def answer_after(self, silences: int) -> float:
        """Return how long to wait for an answer after this number of silences in a row."""
        return max(self.answer_s, min(self.answer_s * (1 << silences), self.max_answer_s))


DEFAULT_RETRY = RetryPolicy()


class Conversation(Protocol):
    """The interface between a conversation and its runner."""

    @property
    def device(self) -> DeviceId:
        """The device."""

    @property
    def outcome(self) -> Outcome | None:
        """The outcome; `None` while the conversation runs."""

    def begin(self, now_s: float) -> ConversationStep:
        """Start the conversation."""

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Process an answer of the device; `None` if it is of no use."""

    def silent(self, now_s: float) -> ConversationStep:
        """Process a timeout: the device did not answer the last question."""

    def woken(self, now_s: float) -> ConversationStep:
        """Process the expiry of the step's timer."""


_BODIES = {
    ReportKind.REPORT: DeviceReport,
    ReportKind.CAPABILITIES: CapabilitiesBody,
    ReportKind.SUMMARY: Summary,
    ReportKind.PARAMETERS: ParametersBody,
}


class OneQuestion:
    """A conversation of one question, asked until the device answers it."""

    def __init__(self, device: DeviceId, question: Question, retry: RetryPolicy) -> None:
        self.device = device
        self.outcome: Outcome | None = None
        self._question = question
        self._patience = retry
        self._silences = 0

    def begin(self, now_s: float) -> ConversationStep:
        """Ask the question."""
        del now_s
        return self._ask()

    def silent(self, now_s: float) -> ConversationStep:
        """Ask again, or give up."""
        del now_s
        self._silences += 1
        if self._silences >= self._patience.silences:
            self.outcome = Lost(f"no answer to {self._silences} questions")
            return ConversationStep()
        return self._ask()

    def woken(self, now_s: float) -> ConversationStep:
        """Treat useless answers like no answer."""
        return self.silent(now_s)

    def _ask(self) -> ConversationStep:
        # The same nonce for repetitions, so that a late answer to the first question counts.
        return ConversationStep(Turn(question=self._question, answer_s=self._patience.answer_after(self._silences)))

    def _end(self, outcome: Outcome) -> ConversationStep:
        self.outcome = outcome
        return ConversationStep()


class Inquiry(OneQuestion):
    """Asks one device for one signed body."""

    def __init__(
        self,
        device: DeviceId,
        what: ReportKind,
        *,
        open_signed: OpenSigned,
        make_nonce: MakeNonce,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self._what = what
        self._open = open_signed
        self._nonce = make_nonce()
        super().__init__(device, Inquire(what, self._nonce), retry)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Accept the body if it answers the question."""
        del now_s
        match answer:
            case Signed(cose):
                body = _opened(self._open, cose, self._nonce)
                if body is None or not isinstance(body, _BODIES[self._what]):
                    return None
                return self._end(Answered(body))
            case _:  # also an error: it is not signed, and the body may still come
                return None


class RootRotation(OneQuestion):
    """Has one device follow another root."""

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """End with any result: a repetition is refused by a device that has accepted the rotation."""
        del now_s
        match answer:
            case TransferResult(transfer=None, code=code):
                return self._end(RotationAnswered(code))
            case _:
                return None


class SamplePull(OneQuestion):
    """Asks one device for a piece of a sample log."""

    def __init__(self, device: DeviceId, pull: Pull, retry: RetryPolicy = DEFAULT_RETRY) -> None:
        self._pull = pull
        super().__init__(device, pull, retry)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Accept a piece from the offset asked for, a later one if that is gone, or none at all.

        A piece from an earlier offset answers an earlier question, and came through the broker a second time.
        """
        del now_s
        match answer:
            case Piece(space=space, start=start, data=data) if space is self._pull.space:
                return self._end(Answered(answer)) if start >= self._pull.start or not data else None
            case TransferResult(transfer=None, code=code) if code < 0:
                return self._end(Rejected(code, "pulling samples"))
            case _:
                return None


@dataclass(frozen=True, slots=True)
class SampleRange:
    """A range of a sample log."""

    space: SampleSpace
    start: int
    end: int


class AttestationInquiry(OneQuestion):
    """Asks one device for a signature over a range of a sample log."""

    def __init__(
        self,
        device: DeviceId,
        asked: SampleRange,
        *,
        open_signed: OpenSigned,
        make_nonce: MakeNonce,
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self._range = asked
        self._open = open_signed
        self._nonce = make_nonce()
        super().__init__(device, Attest(self._nonce, asked.space, asked.start, asked.end), retry)

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Accept the body if it is about the range that was asked for."""
        del now_s
        match answer:
            case Signed(cose):
                body = _opened(self._open, cose, self._nonce)
                if (
                    isinstance(body, SamplesAttestation)
                    and SampleRange(body.space, body.start, body.end) == self._range
                ):
                    return self._end(Answered(body))
                return None
            case TransferResult(transfer=None, code=code) if code < 0:
                return self._end(Rejected(code, "attesting samples"))
            case _:
                return None


def _opened(open_signed: OpenSigned, cose: bytes, nonce: bytes) -> Body | None:
    """Return the body of an answer to this nonce; None: it is no such answer."""
    try:
        return parse_body(open_signed(cose, nonce))
    except Refused:
        return None
