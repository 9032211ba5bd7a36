# SPDX-License-Identifier: Apache-2.0
"""The session of one link: one conversation per device at a time, no thread.

This is all that the engine needs. `report`, `capabilities`, `summary` and `parameters` return what a device answered,
or `Lost`; `pull` and `attest` may also return what it refused; `update` and `carry_out` return outcomes; `unsolicited`
yields what devices send unasked. A device's failure is a value, never an exception; whatever raises is a bug.
Everything runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from reconciler.devices.conversation import (
    DEFAULT_RETRY,
    Answered,
    AttestationInquiry,
    BuiltinRan,
    Conversation,
    ConversationStep,
    Inquiry,
    Lost,
    MakeNonce,
    OpenSigned,
    Outcome,
    Rejected,
    ReplyHeard,
    Requested,
    RetryPolicy,
    RootRotation,
    RotationAnswered,
    SamplePull,
    SampleRange,
    SessionOpened,
    StageRan,
)
from reconciler.devices.device_session import DeviceSession
from reconciler.devices.link import AnswerReceived, Event, Link, Silent, Turn
from reconciler.devices.messages import NONCE_BYTES, Piece, Pull, ReportKind, RotateRoot
from reconciler.devices.operation_conversation import BuiltinCall, RequestReply
from reconciler.devices.operation_messages import POLL, ReplyToRequest
from reconciler.devices.reports import CapabilitiesBody, DeviceReport, ParametersBody, SamplesAttestation, Summary
from reconciler.devices.stage_conversation import SessionOpeningConversation, StageRun
from reconciler.devices.stage_messages import OpenSession
from reconciler.devices.transfer import Transfer, TransferCost, TransferJob
from reconciler.devices.transfer_limiter import TransferLimiter
from reconciler.model import DeviceId

ReportBody = TypeVar("ReportBody", DeviceReport, CapabilitiesBody, Summary, ParametersBody)
OpenSignedOf = Callable[[DeviceId, bytes, bytes], bytes]  # (device, COSE object, nonce) to body; raises Refused
AnswerSecondsOf = Callable[[DeviceId], float | None]  # how long a device may take to an answer; None: not known yet
UNSOLICITED_MAX = 20_000  # then the oldest are dropped: a device may flood, the daemon must not grow
STAGE_PIECES_AHEAD = 16  # of the outputs of a stage, asked for at once behind a broker
ASK_AGAIN_S = 1.0  # after an answer that was of no use


def fresh_nonce() -> bytes:
    """Return a nonce that can't be predicted."""
    return secrets.token_bytes(NONCE_BYTES)


def not_known(_device: DeviceId) -> None:
    """Return how long a device may take to an answer before any has reported it."""


@dataclass(slots=True)
class _RunningConversation:
    conversation: Conversation
    over: asyncio.Future[Outcome]
    timer: asyncio.TimerHandle | None = None

    def stop_timer(self) -> None:
        if self.timer:
            self.timer.cancel()
            self.timer = None


class LinkSession:
    """The devices behind one link. `run` must be running for anything to happen."""

    def __init__(  # noqa: PLR0913  # a link, and what each of its conversations needs
        self,
        link: Link,
        open_signed: OpenSignedOf,
        *,
        limiters: Sequence[TransferLimiter] = (),
        retry: RetryPolicy = DEFAULT_RETRY,
        answer_s_of: AnswerSecondsOf = not_known,
        make_nonce: MakeNonce = fresh_nonce,
    ) -> None:
        self.link = link
        self._open_signed = open_signed
        self._limiters = limiters
        self._patience = retry
        self._answer_s_of = answer_s_of
        self._make_nonce = make_nonce
        self._running: dict[DeviceId, _RunningConversation] = {}
        self._turns: dict[DeviceId, asyncio.Lock] = {}  # one conversation per device at a time
        self._unsolicited: asyncio.Queue[Event] = asyncio.Queue()

    async def run(self) -> None:
        """Run the link and handle its events, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            async for event in self.link.events():
                self._take(event)

    async def report(self, device: DeviceId) -> DeviceReport | Lost:
        """Ask a device for a fresh report: what it runs, and how it is."""
        return await self._body(device, ReportKind.REPORT, DeviceReport)

    async def capabilities(self, device: DeviceId) -> CapabilitiesBody | Lost:
        """Ask a device what it can hold and run."""
        return await self._body(device, ReportKind.CAPABILITIES, CapabilitiesBody)

    async def summary(self, device: DeviceId) -> Summary | Lost:
        """Ask a device what it counted with the pack that it runs."""
        return await self._body(device, ReportKind.SUMMARY, Summary)

    async def parameters(self, device: DeviceId) -> ParametersBody | Lost:
        """Ask a device for the parameters that were set."""
        return await self._body(device, ReportKind.PARAMETERS, ParametersBody)

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        """Ask one device for one of its signed bodies: `Answered` or `Lost`."""
        inquiry = Inquiry(
            device,
            what,
            open_signed=self._opener(device),
            make_nonce=self._make_nonce,
            retry=self._patience_with(device),
        )
        return await self._converse(inquiry)

    async def rotate_root(self, device: DeviceId, order: RotateRoot) -> RotationAnswered | Lost:
        """Have a device follow another root. Only its next report shows whether it does."""
        outcome = await self._converse(RootRotation(device, order, self._patience_with(device)))
        return outcome if isinstance(outcome, RotationAnswered | Lost) else Lost("it did not answer the rotation")

    async def pull(self, device: DeviceId, pull: Pull) -> Piece | Rejected | Lost:
        """Ask a device for a piece of a sample log. Nothing may be concluded from it before it is attested."""
        outcome = await self._converse(SamplePull(device, pull, self._patience_with(device)))
        if isinstance(outcome, Answered) and isinstance(outcome.body, Piece):
            return outcome.body
        return outcome if isinstance(outcome, Rejected | Lost) else Lost("it did not send its samples")

    async def attest(self, device: DeviceId, asked: SampleRange) -> SamplesAttestation | Rejected | Lost:
        """Ask a device to sign the digest of a range of a sample log."""
        inquiry = AttestationInquiry(
            device,
            asked,
            open_signed=self._opener(device),
            make_nonce=self._make_nonce,
            retry=self._patience_with(device),
        )
        outcome = await self._converse(inquiry)
        if isinstance(outcome, Answered) and isinstance(outcome.body, SamplesAttestation):
            return outcome.body
        return outcome if isinstance(outcome, Rejected | Lost) else Lost("it did not attest its samples")

    async def open_session(
        self, device: DeviceId, question: OpenSession, session: DeviceSession
    ) -> SessionOpened | Rejected | Lost:
        """Open a session with a device, for a stage or for calls."""
        outcome = await self._converse(
            SessionOpeningConversation(device, question, session, self._patience_with(device))
        )
        return outcome if isinstance(outcome, SessionOpened | Rejected | Lost) else Lost("it did not open a session")

    async def run_stage(
        self, device: DeviceId, session: DeviceSession, inputs: Sequence[bytes], output_bytes: Sequence[int]
    ) -> StageRan | Rejected | Lost:
        """Have a device run its stage on one input."""
        ahead = STAGE_PIECES_AHEAD if self.link.answers_may_repeat else 1  # on a line, each answer needs the wire
        run = StageRun(device, session, inputs, output_bytes, self._patience_with(device), ahead=ahead)
        outcome = await self._converse(run)
        return outcome if isinstance(outcome, StageRan | Rejected | Lost) else Lost("it did not send its outputs")

    async def call_builtin(
        self, device: DeviceId, session: DeviceSession, function: int, data: bytes
    ) -> BuiltinRan | Rejected | Lost:
        """Call a built-in of a device."""
        outcome = await self._converse(BuiltinCall(device, session, function, data, self._patience_with(device)))
        return outcome if isinstance(outcome, BuiltinRan | Rejected | Lost) else Lost("it did not return")

    async def poll_request(self, device: DeviceId, session: DeviceSession) -> Requested | BuiltinRan | Rejected | Lost:
        """Ask a device whether it has a request; `BuiltinRan`: it has none."""
        outcome = await self._converse(BuiltinCall(device, session, POLL, retry=self._patience_with(device)))
        return outcome if isinstance(outcome, Requested | BuiltinRan | Rejected | Lost) else Lost("it did not answer")

    async def reply_to_request(self, device: DeviceId, reply: ReplyToRequest) -> ReplyHeard | Rejected | Lost:
        """Send the reply to a request of a device."""
        outcome = await self._converse(RequestReply(device, reply, self._patience_with(device)))
        return outcome if isinstance(outcome, ReplyHeard | Rejected | Lost) else Lost("it did not hear the reply")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait until the limits allow one more transfer, and count as one inside the block."""
        async with AsyncExitStack() as places:
            for limiter in self._limiters:
                await places.enter_async_context(limiter.permit())
            yield

    async def update(self, job: TransferJob) -> tuple[Outcome, TransferCost]:
        """Bring one update to its end, once the limits allow it to start."""
        async with self.place():
            return await self.carry_out(job)

    async def carry_out(self, job: TransferJob) -> tuple[Outcome, TransferCost]:
        """Bring one update to its end. The caller is inside `place`."""
        transfer = Transfer(
            job,
            open_signed=self._opener(job.device),
            make_nonce=self._make_nonce,
            retry=self._patience,
            answers_may_repeat=self.link.answers_may_repeat,
        )
        return await self._converse(transfer), transfer.cost

    async def unsolicited(self) -> AsyncIterator[Event]:
        """Yield unsolicited reports, devices that appear or vanish, and changes of the link's state."""
        while True:
            yield await self._unsolicited.get()

    async def _body(self, device: DeviceId, kind: ReportKind, expected: type[ReportBody]) -> ReportBody | Lost:
        outcome = await self.ask(device, kind)
        if isinstance(outcome, Answered) and isinstance(outcome.body, expected):
            return outcome.body
        return outcome if isinstance(outcome, Lost) else Lost(f"it did not send its {kind.name.lower()}")

    def _patience_with(self, device: DeviceId) -> RetryPolicy:
        answer_s = self._answer_s_of(device)
        return self._patience if answer_s is None else replace(self._patience, answer_s=answer_s, max_answer_s=0.0)

    def _opener(self, device: DeviceId) -> OpenSigned:
        return lambda cose, nonce: self._open_signed(device, cose, nonce)

    async def _converse(self, conversation: Conversation) -> Outcome:
        device = conversation.device
        loop = asyncio.get_running_loop()
        async with self._turns.setdefault(device, asyncio.Lock()):
            running = self._running[device] = _RunningConversation(conversation, loop.create_future())
            try:
                self._do(running, conversation.begin(loop.time()))
                return await running.over
            finally:
                running.stop_timer()
                del self._running[device]
                self.link.cancel(device)

    def _take(self, event: Event) -> None:
        now_s = asyncio.get_running_loop().time()
        match event:
            case AnswerReceived(device, answer, asked) if running := self._running.get(device):
                step = running.conversation.heard(answer, now_s)
                if step:
                    self._do(running, step)
                else:
                    self._pass_on(event)
                    if asked:  # a useless answer used the question up, so the link will not report a silence
                        self._do(running, ConversationStep(wake_after_s=ASK_AGAIN_S))
            case Silent(device):
                if running := self._running.get(device):
                    self._do(running, running.conversation.silent(now_s))
            case _:
                self._pass_on(event)

    def _pass_on(self, event: Event) -> None:
        if self._unsolicited.qsize() >= UNSOLICITED_MAX:
            self._unsolicited.get_nowait()
        self._unsolicited.put_nowait(event)

    def _do(self, running: _RunningConversation, step: ConversationStep) -> None:
        running.stop_timer()
        loop = asyncio.get_running_loop()
        if running.conversation.outcome:
            if not running.over.done():
                running.over.set_result(running.conversation.outcome)
        elif step.turn:
            wait_s = self._budgeted_wait_s(step.turn, loop.time())
            running.timer = loop.call_later(wait_s, self.link.send, running.conversation.device, step.turn)
        elif step.wake_after_s is not None:
            running.timer = loop.call_later(step.wake_after_s, self._wake, running)

    def _wake(self, running: _RunningConversation) -> None:
        self._do(running, running.conversation.woken(asyncio.get_running_loop().time()))

    def _budgeted_wait_s(self, turn: Turn, now_s: float) -> float:
        count = sum(len(block.data) for block in turn.blocks)
        return max((limiter.wait_s(count, now_s) for limiter in self._limiters), default=0.0) if count else 0.0
