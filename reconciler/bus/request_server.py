# SPDX-License-Identifier: Apache-2.0
"""Answers the requests of clients: parts, duplicates, matching, limits. For the event loop's thread only."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from reconciler.bus.begun_calls import BegunCalls
from reconciler.bus.data_parts import DataParts
from reconciler.bus.forwarded_requests import ForwardedRequest, ForwardedRequests, ServerSilent, forwarded_call
from reconciler.bus.local_storage import StorageUnusable
from reconciler.bus.messages import AskMessage, DoneMessage, PartMessage, TakenMessage, encode, parse, parts
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.devices.errors import Malformed
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.limits import IN_PROGRESS_MAX, IN_PROGRESS_OF_CLIENT, PART_BYTES_MAX
from reconciler.operations.recent_calls import CallState, RecentCalls
from reconciler.operations.resolution import Forward, OperationRequest, Refuse

Send = Callable[[str, bytes], None]  # to a client
Key = tuple[str, bytes]
Work = Callable[[], Awaitable[DoneMessage]]
# What another gateway may do better.
PASSED_ON = frozenset({AnswerCode.NO_SUCH_OPERATION, AnswerCode.DESCRIPTOR_MISMATCH, AnswerCode.NO_CAPABLE_NODE})


@dataclass(slots=True)
class RequestStatistics:
    """What has passed."""

    requests: int = 0
    repeated: int = 0
    refused: int = 0  # before anything was dispatched
    dispatched: int = 0
    forwarded: int = 0  # to another gateway
    moved: int = 0  # to the next gateway, because one did not answer
    failed: int = 0  # after they were dispatched or forwarded
    malformed: int = 0


class RequestServer:
    """Serves all clients of one gateway."""

    def __init__(self, node: OperationNode, send: Send, others: ForwardedRequests | None = None) -> None:
        self.statistics = RequestStatistics()
        self.begun: BegunCalls | None = None  # None: what has begun is forgotten when the process ends
        self._others = others if others is not None else ForwardedRequests(send)
        self._node = node
        self._send = send
        self._parts = DataParts()
        self._calls: RecentCalls[Key, list[bytes]] = RecentCalls()
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._taken_by: dict[Key, str] = {}  # the nodes that have running calls
        self._of_client: Counter[str] = Counter()

    def received(self, client: str, payload: bytes) -> None:
        """Take in a message of a client."""
        now_s = asyncio.get_running_loop().time()
        try:
            message = parse(payload)
        except Malformed:
            self.statistics.malformed += 1
            return
        if isinstance(message, PartMessage):
            self._parts.add(client, message, now_s)
        elif isinstance(message, AskMessage):
            self._asked(client, message, now_s)
        else:
            self.statistics.malformed += 1  # only gateways send these

    async def stop(self, *, within_s: float = 0.0) -> None:
        """Let what runs end, then cancel the rest: those clients see their deadlines pass."""
        tasks = list(self._running.values())
        if tasks and within_s:
            await asyncio.wait(tasks, timeout=within_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _asked(self, client: str, ask: AskMessage, now_s: float) -> None:
        self.statistics.requests += 1
        key = (client, ask.call)
        data = ask.data if ask.data is not None else self._parts.take(client, ask.call)
        if not self._calls.knows(key, now_s):
            if len(self._running) >= IN_PROGRESS_MAX or self._of_client[client] >= IN_PROGRESS_OF_CLIENT:
                self._refuse(client, ask, AnswerCode.BUSY, "too many requests are in progress", now_s)
                return
            if data is None:  # not remembered, so that the client may send them again
                self._refuse(client, ask, AnswerCode.TOO_LARGE, "its parts have not arrived", now_s)
                return
        state, kept = self._calls.begin(key, now_s)
        if state is not CallState.NEW or data is None:
            self._repeated(client, ask, state, kept, now_s)
            return
        expires_s = now_s + ask.deadline_ms / 1000
        request = OperationRequest(ask.operation, ask.descriptor, len(data), expires_s, ask.path)
        resolved = self._node.resolve(request, now_s, self._others.loads.loads(self._others.silent))
        if isinstance(resolved, Refuse):
            self.statistics.refused += 1
            refused = DoneMessage(ask.call, resolved.code, self._node.name, 0, resolved.why)
            self._finish(key, self._done(refused, now_s))
            return
        self._of_client[client] += 1
        asked = Invocation(data, client, ask.call, expires_s)
        if isinstance(resolved, Forward):
            self.statistics.forwarded += 1
            own = self._node.offered(ask.operation) if self._node.name in resolved.servers else None
            work: Work = partial(self._pass_on, resolved, key, ask, asked, own)
        else:
            self.statistics.dispatched += 1
            self._taken(key, self._node.name)
            work = partial(self._perform, ask, self._node.offered(ask.operation), asked)
        self._running[key] = asyncio.create_task(
            self._answered(key, ask, work, now_s), name=f"operation {ask.operation}"
        )

    def _repeated(self, client: str, ask: AskMessage, state: CallState, kept: list[bytes] | None, now_s: float) -> None:
        self.statistics.repeated += 1
        if state is CallState.RUNNING:
            self._send(client, encode(TakenMessage(ask.call, self._taken_by.get((client, ask.call), self._node.name))))
        elif state is CallState.ANSWERED and kept is not None:
            for message in kept:
                self._send(client, message)
        elif state is CallState.FULL:
            self._refuse(client, ask, AnswerCode.BUSY, "too many calls are remembered", now_s)
        else:
            self._refuse(client, ask, AnswerCode.ANSWER_DROPPED, "its answer is no longer kept", now_s)

    async def _answered(self, key: Key, ask: AskMessage, work: Work, began_s: float) -> None:
        """Do the work of a request, and send its answer."""
        try:
            done = await work()
        except OperationFailed as failure:
            done = DoneMessage(ask.call, failure.code, self._node.name, 0, failure.why)
        except StorageUnusable as unusable:
            done = DoneMessage(ask.call, AnswerCode.STORAGE_FULL, self._node.name, 0, str(unusable))
        finally:
            del self._running[key]
            self._taken_by.pop(key, None)
            self._of_client[key[0]] -= 1
        self.statistics.failed += done.code is not AnswerCode.DONE
        self._finish(key, self._done(done, began_s))

    async def _perform(self, ask: AskMessage, offered: OfferedOperation, asked: Invocation) -> DoneMessage:
        begun = self.begun if not offered.capability.idempotent else None
        if begun is not None and not begun.begin(asked.caller, asked.call, time.time()):
            raise OperationFailed(AnswerCode.ANSWER_DROPPED, "it began before the gateway restarted, and may have run")
        result = await self._node.perform(offered, asked)
        return DoneMessage(ask.call, AnswerCode.DONE, self._node.name, 0, result)

    async def _pass_on(
        self, resolved: Forward, key: Key, ask: AskMessage, asked: Invocation, own: OfferedOperation | None
    ) -> DoneMessage:
        """Ask gateways in their order, until one does not say that it can't."""
        passed = replace(ask, call=forwarded_call(*key), path=resolved.path)
        answer: DoneMessage | None = None
        for place, server in enumerate(resolved.servers):
            last = place + 1 == len(resolved.servers)
            if server == self._node.name and own is not None:
                self._taken(key, server)
                return await self._perform(ask, own, asked)
            may_move = resolved.idempotent and not last
            request = ForwardedRequest(server, passed, asked.data, asked.expires_s, may_move)
            try:
                answer = await self._others.perform(request, lambda node: self._taken(key, node))
            except ServerSilent:
                self.statistics.moved += 1
                continue
            if answer.code not in PASSED_ON and not (resolved.movable and answer.code is AnswerCode.BUSY):
                break
        if answer is None:
            raise OperationFailed(AnswerCode.NO_SUCH_OPERATION, f"no node has the operation {ask.operation}")
        return replace(answer, call=ask.call)

    def _taken(self, key: Key, node: str) -> None:
        self._taken_by[key] = node
        self._send(key[0], encode(TakenMessage(key[1], node)))

    def _done(self, done: DoneMessage, began_s: float) -> list[bytes]:
        """Return an answer as this gateway sends it."""
        microseconds = min((1 << 32) - 1, int((asyncio.get_running_loop().time() - began_s) * 1e6))
        if isinstance(done.data, bytes):
            before = parts(done.call, done.data)
            data: bytes | str | None = None if before else done.data
        else:
            before, data = [], str(done.data).encode()[:PART_BYTES_MAX].decode("utf-8", "ignore")
        return [*map(encode, before), encode(replace(done, microseconds=microseconds, data=data))]

    def _finish(self, key: Key, answer: list[bytes]) -> None:
        self._calls.end(key, answer, sum(map(len, answer)))
        for message in answer:
            self._send(key[0], message)

    def _refuse(self, client: str, ask: AskMessage, code: AnswerCode, why: str, now_s: float) -> None:
        self.statistics.refused += 1
        for message in self._done(DoneMessage(ask.call, code, self._node.name, 0, why), now_s):
            self._send(client, message)
