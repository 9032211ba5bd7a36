# SPDX-License-Identifier: Apache-2.0
"""Requests that this gateway passes on to another one, and their answers. For the event loop's thread only."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.bus.asking import Asking
from reconciler.bus.messages import AskMessage, BusMessage, DoneMessage, encode, parse
from reconciler.bus.server_loads import ServerLoads
from reconciler.devices.errors import Malformed
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.limits import CALL_BYTES

Send = Callable[[str, bytes], None]  # to another gateway
OnTaken = Callable[[str], None]  # with the name of the node


class ServerSilent(Exception):
    """The other gateway does not answer, and another one may be asked. An expected outcome."""


@dataclass(frozen=True, slots=True)
class ForwardedRequest:
    """A request as it is passed on."""

    server: str
    ask: AskMessage  # with the call among gateways and the path, and without its data
    data: bytes
    expires_s: float  # of the clock of the event loop
    may_move: bool = False  # raise `ServerSilent` rather than wait until it expires


@dataclass(slots=True)
class _Waiting:
    """A request that has no answer yet."""

    server: str
    arrived: asyncio.Queue[BusMessage] = field(default_factory=asyncio.Queue)


class ForwardedRequests:
    """The requests that wait for other gateways."""

    def __init__(self, send: Send, on_change: Callable[[], None] | None = None) -> None:
        self._send = send
        self._on_change = on_change
        self._waiting: dict[bytes, _Waiting] = {}
        self.silent: frozenset[str] = frozenset()  # the gateways that did not answer the last request
        self.loads = ServerLoads()

    def received(self, server: str, payload: bytes) -> None:
        """Take in a message of another gateway; what nobody waits for is late, and dropped."""
        try:
            message = parse(payload)
        except Malformed:
            return
        self._heard(self.silent - {server})
        waiting = self._waiting.get(message.call)
        if waiting is not None and waiting.server == server:
            waiting.arrived.put_nowait(message)

    async def perform(self, request: ForwardedRequest, on_taken: OnTaken) -> DoneMessage:
        """Ask until there is an answer, and return it with the whole data."""
        began_s = asyncio.get_running_loop().time()
        asking = Asking(request.ask, request.data, began_s, request.expires_s)
        waiting = self._waiting[request.ask.call] = _Waiting(request.server)
        heard = False
        try:
            with self.loads.request(request.server):
                while True:
                    self._ask(request, asking)
                    message = await _next(waiting, asking.due_in_s(asyncio.get_running_loop().time()))
                    if message is None:
                        continue
                    now_s, taken = asyncio.get_running_loop().time(), asking.taken_by
                    if not heard:
                        self.loads.heard(request.server, now_s - began_s)
                    heard = True
                    done = asking.received(message, now_s)
                    if asking.taken_by != taken and asking.taken_by is not None:
                        on_taken(asking.taken_by)
                    if done is not None:
                        self.loads.worked(request.server, done.microseconds / 1e6)
                        return done
        finally:
            del self._waiting[request.ask.call]

    def _ask(self, request: ForwardedRequest, asking: Asking) -> None:
        """Send what is due; what nobody answers ends."""
        now_s = asyncio.get_running_loop().time()
        if asking.silent(now_s):
            self._heard(self.silent | {request.server})
            if request.may_move:
                raise ServerSilent(request.server)
        if now_s >= request.expires_s:
            if asking.taken_by is None:
                self._heard(self.silent | {request.server})
            why = "can't be reached" if asking.taken_by is None else "did not answer in time"
            raise OperationFailed(AnswerCode.DEADLINE, f"the gateway {request.server} {why}")
        for message in asking.due(now_s):
            self._send(request.server, encode(message))

    def _heard(self, silent: frozenset[str]) -> None:
        if silent != self.silent:
            self.silent = silent
            if self._on_change is not None:
                self._on_change()


def forwarded_call(client: str, call: bytes) -> bytes:
    """Return the number of a call among gateways: clients that choose the same number do not meet there."""
    return hashlib.sha256(client.encode() + b"\0" + call).digest()[:CALL_BYTES]


async def _next(waiting: _Waiting, within_s: float) -> BusMessage | None:
    try:
        async with asyncio.timeout(within_s):
            return await waiting.arrived.get()
    except TimeoutError:
        return None
