# SPDX-License-Identifier: Apache-2.0
"""Requests that one gateway passes on to others: two request servers, joined without a broker."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace

from reconciler.bus.forwarded_requests import ForwardedRequests, forwarded_call
from reconciler.bus.messages import AskMessage, BusMessage, DoneMessage, TakenMessage, encode, parse
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.bus.request_server import RequestServer
from reconciler.operations.codes import AnswerCode
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability

NOTHING = DataDescriptor()
ASK = AskMessage(b"12345678", "test.count", NOTHING, 20_000, b"")


class Gateways:
    """Gateways that forward to each other. `lose` decides which messages between them are lost."""

    def __init__(self, **forward: tuple[str, ...]) -> None:
        self.answers: list[BusMessage] = []
        self.calls: list[bytes] = []
        self.between: list[tuple[str, str, BusMessage]] = []
        self.lose: Callable[[BusMessage], bool] = lambda _: False
        self._others: dict[str, ForwardedRequests] = {}
        self.servers: dict[str, RequestServer] = {}
        self.nodes = {name: OperationNode(name) for name in forward}
        for name, node in self.nodes.items():
            node.forward_to(forward[name])
            self._others[name] = ForwardedRequests(self._asks(name))
            self.servers[name] = RequestServer(node, self._answers(name), self._others[name])

    def offer(self, name: str) -> None:
        async def count(asked: Invocation) -> bytes:
            self.calls.append(asked.call)
            return b""

        capability = Capability("test.count", name, NOTHING, NOTHING)
        self.nodes[name].offer({"test.count": OfferedOperation(capability, count)})

    async def answer(self, name: str, ask: AskMessage = ASK, client: str = "tool") -> DoneMessage:
        """Ask one of them, and wait for its answer."""
        before = len(self.answers)
        self.servers[name].received(client, encode(ask))
        while True:
            for each in self.answers[before:]:
                if isinstance(each, DoneMessage):
                    return each
            await asyncio.sleep(0)

    def _asks(self, name: str) -> Callable[[str, bytes], None]:
        def send(server: str, payload: bytes) -> None:
            if self._passes(name, server, payload):
                self.servers[server].received(f"@{name}", payload)

        return send

    def _answers(self, name: str) -> Callable[[str, bytes], None]:
        def send(asker: str, payload: bytes) -> None:
            if not asker.startswith("@"):
                self.answers.append(parse(payload))
            elif self._passes(name, asker[1:], payload):
                self._others[asker[1:]].received(name, payload)

        return send

    def _passes(self, sender: str, to: str, payload: bytes) -> bool:
        message = parse(payload)
        self.between.append((sender, to, message))
        return not self.lose(message)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


def test_the_answer_names_the_node_and_the_path_the_gateways() -> None:
    async def test() -> None:
        made = Gateways(edge=("cloud",), cloud=())
        made.offer("cloud")
        done = await made.answer("edge")
        assert (done.call, done.code, done.node) == (ASK.call, AnswerCode.DONE, "cloud")
        assert made.answers[0] == TakenMessage(ASK.call, "cloud")
        asked = made.between[0][2]
        assert isinstance(asked, AskMessage)
        assert asked.path == ("edge",)
        assert asked.deadline_ms <= ASK.deadline_ms
        assert made.servers["edge"].statistics.forwarded == 1

    run(test)


def test_a_lost_request_and_a_lost_answer_run_the_operation_once() -> None:
    async def test() -> None:
        made = Gateways(edge=("cloud",), cloud=())
        made.offer("cloud")
        numbers = itertools.count()
        made.lose = lambda _: next(numbers) in {0, 2, 3}  # the first request, and then the first answer
        assert (await made.answer("edge")).code is AnswerCode.DONE
        assert len(made.calls) == 1
        again = await made.answer("edge")
        assert again.code is AnswerCode.DONE
        assert len(made.calls) == 1

    run(test)


def test_the_next_gateway_is_asked_only_if_one_can_not() -> None:
    async def test() -> None:
        made = Gateways(edge=("empty", "cloud"), empty=(), cloud=())
        made.offer("cloud")
        assert (await made.answer("edge")).node == "cloud"
        wrong = await made.answer("edge", replace(ASK, call=b"87654321", operation="test.none"))
        assert (wrong.code, len(made.calls)) == (AnswerCode.NO_SUCH_OPERATION, 1)

    run(test)


def test_a_ring_of_gateways_ends() -> None:
    async def test() -> None:
        made = Gateways(a=("b",), b=("c",), c=("a",))
        assert (await made.answer("a")).code is AnswerCode.NO_SUCH_OPERATION
        asked = [(sender, to) for sender, to, message in made.between if isinstance(message, AskMessage)]
        assert asked == [("a", "b"), ("b", "c")]

    run(test)


def test_clients_that_choose_the_same_call_do_not_meet() -> None:
    async def test() -> None:
        made = Gateways(edge=("cloud",), cloud=())
        made.offer("cloud")
        for client in ("tool", "intruder"):
            assert (await made.answer("edge", client=client)).code is AnswerCode.DONE
        assert made.calls == [forwarded_call("tool", ASK.call), forwarded_call("intruder", ASK.call)]

    run(test)
