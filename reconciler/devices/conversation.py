# SPDX-License-Identifier: Apache-2.0
"""Conversations with one device, as pure state machines: events in, turns and one timer out.

A conversation has no clock, no thread and no link. Whoever runs it (fleet.py) calls `begin` once, then one of
`heard`, `silent`, `woken` for each thing that happens, and does what the returned `ConversationStep` says. A step replaces
the timer of the one before. When `outcome` is set it is over, and no further step does anything.

An answer that is of no use (late, doubled, for somebody else's question) is returned as `None`: nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.devices.link import Turn
from reconciler.devices.messages import Answer, Inquire, ReportKind, Signed, TransferResult
from reconciler.devices.reports import Body, CapabilitiesBody, DeviceReport, ParametersBody, Summary, parse_body
from reconciler.errors import Refused
from reconciler.model import DeviceId

OpenSigned = Callable[[bytes, bytes], bytes]  # (COSE object, nonce) to body; raises Refused
MakeNonce = Callable[[], bytes]
UNASKED = b""  # the nonce of a body that nobody asked for


@dataclass(frozen=True, slots=True)
class ConversationStep:
    """What to do next: say something, be woken later, or both, or neither."""

    turn: Turn | None = None
    wake_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The device told what it was asked."""

    body: Body


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The device runs what it was offered, and has said so under its signature."""

    report: DeviceReport


@dataclass(frozen=True, slots=True)
class Rejected:
    """The device checked what came and said no; `code` is its error."""

    code: int
    during: str


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """The device tried the new model, left it, and says why."""

    report: DeviceReport


@dataclass(frozen=True, slots=True)
class Lost:
    """The device fell silent or makes no progress; what it holds, it keeps, and a later try goes on from there."""

    why: str


Outcome = Answered | Confirmed | Rejected | TrialFailed | Lost


@dataclass(frozen=True, slots=True)
class Patience:
    """When to try again, and when to give up for now."""

    silences: int = 6  # in a row
    answer_s: float = 2.0  # a device signs what it says, which takes up to seconds on a small core
    first_poll_s: float = 0.1
    slowest_poll_s: float = 10.0
    trial_s: float = 120.0


PATIENCE = Patience()


class Conversation(Protocol):
    """What the runner needs of a conversation."""

    @property
    def device(self) -> DeviceId:
        """With whom."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, once it has."""

    def begin(self, now_s: float) -> ConversationStep:
        """Start."""

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Take what the device said; `None` when it is of no use here."""

    def silent(self, now_s: float) -> ConversationStep:
        """Take note that the last question was not answered."""

    def woken(self, now_s: float) -> ConversationStep:
        """Take note that the step's time is over."""


_BODIES = {
    ReportKind.REPORT: DeviceReport,
    ReportKind.CAPABILITIES: CapabilitiesBody,
    ReportKind.SUMMARY: Summary,
    ReportKind.PARAMETERS: ParametersBody,
}


class Inquiry:
    """Asks one device for one signed body."""

    def __init__(
        self,
        device: DeviceId,
        what: ReportKind,
        *,
        open_signed: OpenSigned,
        make_nonce: MakeNonce,
        patience: Patience = PATIENCE,
    ) -> None:
        self.device = device
        self.outcome: Outcome | None = None
        self._what = what
        self._open = open_signed
        self._make_nonce = make_nonce
        self._patience = patience
        self._nonce = UNASKED
        self._silences = 0

    def begin(self, now_s: float) -> ConversationStep:
        """Ask."""
        del now_s
        return self._ask()

    def heard(self, answer: Answer, now_s: float) -> ConversationStep | None:
        """Take the body, if it is the one that was asked for."""
        del now_s
        match answer:
            case Signed(cose):
                try:
                    body = parse_body(self._open(cose, self._nonce))
                except Refused:
                    return None
                if not isinstance(body, _BODIES[self._what]):
                    return None
                self.outcome = Answered(body)
                return ConversationStep()
            case TransferResult(code=code) if code < 0:
                self.outcome = Rejected(code, f"ask {self._what.name.lower()}")
                return ConversationStep()
            case _:
                return None

    def silent(self, now_s: float) -> ConversationStep:
        """Ask again, or give up."""
        del now_s
        self._silences += 1
        if self._silences >= self._patience.silences:
            self.outcome = Lost(f"no answer to {self._silences} questions")
            return ConversationStep()
        return self._ask()

    def woken(self, now_s: float) -> ConversationStep:
        """Nothing of use came: as good as silence."""
        return self.silent(now_s)

    def _ask(self) -> ConversationStep:
        if self._nonce == UNASKED:
            self._nonce = self._make_nonce()  # one for all repetitions: a slow device's answer to the first is good
        return ConversationStep(Turn(question=Inquire(self._what, self._nonce), answer_s=self._patience.answer_s))
