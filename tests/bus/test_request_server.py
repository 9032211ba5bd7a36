# SPDX-License-Identifier: Apache-2.0
"""Requests while what a node offers changes, or while it stops."""

from __future__ import annotations

import asyncio

from reconciler.bus.messages import AskMessage, DoneMessage, TakenMessage, encode, parse
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.bus.request_server import RequestServer
from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability

ASK = encode(AskMessage(b"12345678", "test.wait", DataDescriptor(), 10_000, b""))
NOTHING = DataDescriptor()


class WaitingNode:
    """A node whose only operation waits."""

    def __init__(self) -> None:
        self.node = OperationNode("hall")
        self.release = asyncio.Event()
        self.sent: list[object] = []
        self.server = RequestServer(self.node, lambda _client, payload: self.sent.append(parse(payload)))
        capability = Capability("test.wait", "hall", NOTHING, NOTHING)
        self.node.offer({"test.wait": OfferedOperation(capability, self._wait)})

    async def _wait(self, _: Invocation) -> bytes:
        await self.release.wait()
        return b""

    def answer(self) -> DoneMessage:
        taken, done = self.sent
        assert isinstance(taken, TakenMessage)
        assert isinstance(done, DoneMessage)
        return done


def test_a_call_ends_with_what_it_began_with_although_the_operation_is_gone() -> None:
    async def test() -> DoneMessage:
        made = WaitingNode()
        made.server.received("tool", ASK)
        made.node.offer({})  # before the task of the request has run at all
        made.release.set()
        await made.server.stop(within_s=20)
        return made.answer()

    assert asyncio.run(test()).code is AnswerCode.DONE


def test_a_server_that_stops_lets_calls_end() -> None:
    async def test() -> DoneMessage:
        made = WaitingNode()
        made.server.received("tool", ASK)
        stopping = asyncio.create_task(made.server.stop(within_s=20))
        await asyncio.sleep(0)
        assert len(made.sent) == 1
        made.release.set()
        await stopping
        return made.answer()

    assert asyncio.run(test()).code is AnswerCode.DONE


def test_a_call_that_does_not_end_is_cancelled() -> None:
    async def test() -> list[object]:
        made = WaitingNode()
        made.server.received("tool", ASK)
        await made.server.stop()
        return made.sent

    (only,) = asyncio.run(test())
    assert isinstance(only, TakenMessage)
