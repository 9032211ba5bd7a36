# SPDX-License-Identifier: Apache-2.0
"""Answers the requests of clients: parts, duplicates, matching, limits. For the event loop's thread only."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.bus.data_parts import DataParts
from reconciler.bus.messages import AskMessage, DoneMessage, PartMessage, TakenMessage, encode, parse, parts
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.devices.errors import Malformed
from reconciler.operations.codes import AnswerCode, OperationFailed
from reconciler.operations.limits import IN_PROGRESS_MAX, IN_PROGRESS_OF_CLIENT, PART_BYTES_MAX
from reconciler.operations.recent_calls import CallState, RecentCalls
from reconciler.operations.resolution import OperationRequest, Refuse

Send = Callable[[str, bytes], None]  # to a client
Key = tuple[str, bytes]


@dataclass(slots=True)
class RequestStatistics:
    """What has passed."""

    requests: int = 0
    repeated: int = 0
    refused: int = 0  # before anything was dispatched
    dispatched: int = 0
    failed: int = 0  # after they were dispatched
    malformed: int = 0


class RequestServer:
    """Serves all clients of one gateway."""

    def __init__(self, node: OperationNode, send: Send) -> None:
        self.statistics = RequestStatistics()
        self._node = node
        self._send = send
        self._parts = DataParts()
        self._calls: RecentCalls[Key, list[bytes]] = RecentCalls()
        self._copies: Counter[Key] = Counter()  # of running calls that have to be answered too
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._of_client: Counter[str] = Counter()

    def received(self, client: str, payload: bytes) -> None:
        """Take in a message of a client."""
        now_s = time.monotonic()
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
        resolved = self._node.resolve(request, now_s)
        if isinstance(resolved, Refuse):
            self.statistics.refused += 1
            self._finish(key, self._done(ask, resolved.code, resolved.why, now_s))
            return
        self.statistics.dispatched += 1
        self._send(client, encode(TakenMessage(ask.call, self._node.name)))
        self._of_client[client] += 1
        offered = self._node.offered(ask.operation)
        work = self._perform(key, ask, offered, Invocation(data, client, ask.call, expires_s), now_s)
        self._running[key] = asyncio.create_task(work, name=f"operation {ask.operation}")

    def _repeated(self, client: str, ask: AskMessage, state: CallState, kept: list[bytes] | None, now_s: float) -> None:
        self.statistics.repeated += 1
        if state is CallState.RUNNING:
            self._copies[client, ask.call] += 1
        elif state is CallState.ANSWERED and kept is not None:
            for message in kept:
                self._send(client, message)
        elif state is CallState.FULL:
            self._refuse(client, ask, AnswerCode.BUSY, "too many calls are remembered", now_s)
        else:
            self._refuse(client, ask, AnswerCode.ANSWER_DROPPED, "its answer is no longer kept", now_s)

    async def _perform(
        self, key: Key, ask: AskMessage, offered: OfferedOperation, invocation: Invocation, began_s: float
    ) -> None:
        try:
            result = await self._node.perform(offered, invocation)
        except OperationFailed as failure:
            self.statistics.failed += 1
            answer = self._done(ask, failure.code, failure.why, began_s)
        else:
            answer = self._done(ask, AnswerCode.DONE, result, began_s)
        finally:
            del self._running[key]
            self._of_client[key[0]] -= 1
        self._finish(key, answer)

    def _done(self, ask: AskMessage, code: AnswerCode, content: bytes | str, began_s: float) -> list[bytes]:
        microseconds = min((1 << 32) - 1, int((time.monotonic() - began_s) * 1e6))
        if isinstance(content, str):
            text = content.encode()[:PART_BYTES_MAX].decode("utf-8", "ignore")
            return [encode(DoneMessage(ask.call, code, self._node.name, microseconds, text))]
        before = parts(ask.call, content)
        done = DoneMessage(ask.call, code, self._node.name, microseconds, None if before else content)
        return [*map(encode, before), encode(done)]

    def _finish(self, key: Key, answer: list[bytes]) -> None:
        self._calls.end(key, answer, sum(map(len, answer)))
        for _ in range(1 + self._copies.pop(key, 0)):
            for message in answer:
                self._send(key[0], message)

    def _refuse(self, client: str, ask: AskMessage, code: AnswerCode, why: str, now_s: float) -> None:
        self.statistics.refused += 1
        for message in self._done(ask, code, why, now_s):
            self._send(client, message)
