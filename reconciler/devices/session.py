# SPDX-License-Identifier: Apache-2.0
"""Runs many conversations over one link, within limits. One task, one timer per conversation, no thread.

This is all that the engine needs: `ask` and `update` return outcomes, `unsolicited` yields what devices say by
themselves. A device's failure is an outcome, never an exception; what does raise is a bug.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from reconciler.devices.conversation import (
    DEFAULT_RETRY,
    Conversation,
    ConversationStep,
    Inquiry,
    MakeNonce,
    OpenSigned,
    Outcome,
    RetryPolicy,
)
from reconciler.devices.link import AnswerReceived, Event, Link, Silent, Turn
from reconciler.devices.messages import NONCE_BYTES, ReportKind
from reconciler.devices.rate_limiter import TransferLimiter
from reconciler.devices.transfer import Transfer, TransferCost, TransferJob
from reconciler.model import DeviceId

OpenSignedOf = Callable[[DeviceId, bytes, bytes], bytes]  # (device, COSE object, nonce) to body; raises Refused
UNSOLICITED_MAX = 20_000  # beyond that the oldest are dropped: a device may flood, the daemon must not grow
STRAY_S = 1.0  # after an answer that was of no use, ask again after so long


def fresh_nonce() -> bytes:
    """Return a nonce that nobody can foresee."""
    return secrets.token_bytes(NONCE_BYTES)


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

    def __init__(
        self,
        link: Link,
        open_signed: OpenSignedOf,
        *,
        limiters: Sequence[TransferLimiter] = (),
        retry: RetryPolicy = DEFAULT_RETRY,
        make_nonce: MakeNonce = fresh_nonce,
    ) -> None:
        self.link = link
        self._open_signed = open_signed
        self._limiters = limiters
        self._patience = retry
        self._make_nonce = make_nonce
        self._running: dict[DeviceId, _RunningConversation] = {}
        self._turns: dict[DeviceId, asyncio.Lock] = {}  # one conversation per device at a time
        self._unsolicited: asyncio.Queue[Event] = asyncio.Queue()

    async def run(self) -> None:
        """Work the link and deal with what it tells, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run())
            async for event in self.link.events():
                self._take(event)

    async def ask(self, device: DeviceId, what: ReportKind) -> Outcome:
        """Ask one device for one of its signed bodies: `Answered`, `Rejected` or `Lost`."""
        inquiry = Inquiry(
            device, what, open_signed=self._opener(device), make_nonce=self._make_nonce, retry=self._patience
        )
        return await self._converse(inquiry)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait until the limits allow one more transfer, and be counted as one."""
        async with AsyncExitStack() as places:
            for limiter in self._limiters:
                await places.enter_async_context(limiter.permit())
            yield

    async def update(self, job: TransferJob) -> tuple[Outcome, TransferCost]:
        """Bring one update to its end, when the limits allow it to begin."""
        async with self.place():
            return await self.carry_out(job)

    async def carry_out(self, job: TransferJob) -> tuple[Outcome, TransferCost]:
        """Bring one update to its end, in a place that the caller has."""
        transfer = Transfer(
            job,
            open_signed=self._opener(job.device),
            make_nonce=self._make_nonce,
            retry=self._patience,
            answers_may_repeat=self.link.answers_may_repeat,
        )
        return await self._converse(transfer), transfer.cost

    async def unsolicited(self) -> AsyncIterator[Event]:
        """Yield what devices say without being asked, who comes and goes, and how the link is."""
        while True:
            yield await self._unsolicited.get()

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
                    if asked:  # the question is spent on a useless answer, so no link will tell of silence
                        self._do(running, ConversationStep(wake_after_s=STRAY_S))
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
