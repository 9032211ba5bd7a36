# SPDX-License-Identifier: Apache-2.0
"""Requests that this gateway passes on to another one, and their answers. For the event loop's thread only."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.bus.data_parts import DataParts
from reconciler.bus.messages import (
    AskMessage,
    BusMessage,
    DoneMessage,
    PartMessage,
    TakenMessage,
    encode,
    parse,
    parts,
)
from reconciler.devices.errors import Malformed
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.limits import CALL_BYTES

ASK_AGAIN_S = 2.0  # while the other gateway has not taken the request

Send = Callable[[str, bytes], None]  # to another gateway
OnTaken = Callable[[str], None]  # with the name of the node


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """A request as it is passed on."""

    server: str
    call: bytes
    ask: AskMessage  # with the path, and without its data
    data: bytes
    expires_s: float  # of the clock `time.monotonic`


@dataclass(slots=True)
class _Waiting:
    """A request that has no answer yet."""

    server: str
    arrived: asyncio.Queue[BusMessage] = field(default_factory=asyncio.Queue)
    parts: DataParts = field(default_factory=DataParts)


class ForwardedRequests:
    """The requests that wait for other gateways."""

    def __init__(self, send: Send, on_change: Callable[[], None] | None = None) -> None:
        self._send = send
        self._on_change = on_change
        self._waiting: dict[bytes, _Waiting] = {}
        self.silent: frozenset[str] = frozenset()  # the gateways that did not answer the last request

    def received(self, server: str, payload: bytes) -> None:
        """Take in a message of another gateway; what nobody waits for is late, and dropped."""
        try:
            message = parse(payload)
        except Malformed:
            return
        waiting = self._waiting.get(message.call)
        if waiting is not None and waiting.server == server:
            self._heard(self.silent - {server})
            waiting.arrived.put_nowait(message)

    async def perform(self, request: ForwardedRequest, on_taken: OnTaken) -> DoneMessage:
        """Ask until the other gateway has taken the request, and return its answer with the whole data."""
        waiting = self._waiting[request.call] = _Waiting(request.server)
        taken = False
        try:
            while True:
                left_s = request.expires_s - time.monotonic()
                if left_s <= 0:
                    why = "did not answer in time" if taken else "can't be reached"
                    if not taken:
                        self._heard(self.silent | {request.server})
                    raise OperationFailed(AnswerCode.DEADLINE, f"the gateway {request.server} {why}")
                if not taken:
                    self._ask(request, left_s)
                ends_s = time.monotonic() + (left_s if taken else min(left_s, ASK_AGAIN_S))
                message = await _next(waiting, ends_s)
                while message is not None:
                    if isinstance(message, TakenMessage) and not taken:
                        taken = True
                        on_taken(message.node)
                        ends_s = request.expires_s
                    elif isinstance(message, PartMessage):
                        waiting.parts.add(request.server, message, time.monotonic())
                    elif isinstance(message, DoneMessage):
                        whole = _whole(message, waiting.parts, request)
                        if whole is not None:
                            return whole
                        taken = False  # a part is missing: the same call again gets the same answer
                        break
                    message = await _next(waiting, ends_s)
        finally:
            del self._waiting[request.call]

    def _heard(self, silent: frozenset[str]) -> None:
        if silent != self.silent:
            self.silent = silent
            if self._on_change is not None:
                self._on_change()

    def _ask(self, request: ForwardedRequest, left_s: float) -> None:
        before = parts(request.call, request.data)
        ask = request.ask
        whole = AskMessage(
            request.call,
            ask.operation,
            ask.descriptor,
            max(1, int(left_s * 1000)),
            None if before else request.data,
            ask.path,
        )
        messages: list[BusMessage] = [*before, whole]
        for message in messages:
            self._send(request.server, encode(message))


def forwarded_call(client: str, call: bytes) -> bytes:
    """Return the number of a call among gateways: clients that choose the same number do not meet there."""
    return hashlib.sha256(client.encode() + b"\0" + call).digest()[:CALL_BYTES]


async def _next(waiting: _Waiting, ends_s: float) -> BusMessage | None:
    try:
        async with asyncio.timeout(max(0.0, ends_s - time.monotonic())):
            return await waiting.arrived.get()
    except TimeoutError:
        return None


def _whole(message: DoneMessage, collected: DataParts, request: ForwardedRequest) -> DoneMessage | None:
    """Return an answer with its data in one piece; None: not all parts have arrived."""
    if message.data is not None:
        return message
    data = collected.take(request.server, request.call)
    if data is None:
        return None
    return DoneMessage(message.call, message.code, message.node, message.microseconds, data)
