# SPDX-License-Identifier: Apache-2.0
"""Gateways that pass requests on to each other, and clients of them, joined by a faulty broker in simulated time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.bus.advertised import advertised
from reconciler.bus.asking import Asking
from reconciler.bus.begun_calls import BegunCalls
from reconciler.bus.forwarded_requests import ForwardedRequests
from reconciler.bus.messages import AskMessage, BusMessage, DoneMessage, TakenMessage, encode, parse
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.bus.request_server import RequestServer
from reconciler.client import LATE_S
from reconciler.devices.simulated_line import run_simulated
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability

NOTHING = DataDescriptor()
WAY_S = 0.01
WORK_S = 0.02
LIMIT_S = 10_000.0  # of simulated time


@dataclass(slots=True)
class Faults:
    """What happens to messages. Each lost or doubled one is drawn."""

    lost: float = 0.0
    doubled: float = 0.0
    drawn: random.Random = field(default_factory=lambda: random.Random(1))
    down: set[str] = field(default_factory=set)  # gateways that nobody reaches
    lose: Callable[[BusMessage], bool] = lambda _: False

    def copies(self, message: BusMessage, ends: tuple[str, str]) -> int:
        """Return how often a message arrives."""
        if self.down.intersection(ends) or self.lose(message) or self.drawn.random() < self.lost:
            return 0
        return 2 if self.drawn.random() < self.doubled else 1


class Gateways:
    """Gateways by name, each with those that it asks."""

    def __init__(self, **forward: tuple[str, ...]) -> None:
        self.faults = Faults()
        self.calls: list[tuple[str, bytes]] = []  # that ran, and where
        self.between: list[tuple[str, str, BusMessage]] = []
        self.taken: list[TakenMessage] = []  # by clients
        self.begun: dict[str, BegunCalls] = {}
        self.servers: dict[str, RequestServer] = {}
        self.others: dict[str, ForwardedRequests] = {}
        self.nodes: dict[str, OperationNode] = {}
        self._forward = forward
        self._asking: dict[tuple[str, bytes], asyncio.Queue[BusMessage]] = {}
        for name in forward:
            self.start(name)

    def start(self, name: str) -> None:
        """Start a gateway, or start it again: it then remembers only what is in files."""
        node = self.nodes[name] = OperationNode(name)
        node.forward_to(self._forward[name])
        self.others[name] = ForwardedRequests(lambda server, payload: self._send(name, server, payload, asks=True))
        self.servers[name] = RequestServer(
            node, lambda asker, payload: self._send(name, asker, payload, asks=False), self.others[name]
        )
        self.servers[name].begun = self.begun.get(name)

    def remember(self, folder: Path) -> None:
        """Have the gateways keep what has begun in files."""
        for name in self.nodes:
            self.begun[name] = self.servers[name].begun = BegunCalls(folder / f"{name}.db")

    def offer(self, name: str, work: Callable[[], Awaitable[None]] | None = None, *, idempotent: bool = False) -> None:
        """Have a gateway count calls, and do this work for each."""

        async def count(asked: Invocation) -> bytes:
            self.calls.append((name, asked.call))
            await (work() if work is not None else asyncio.sleep(WORK_S))
            return asked.data

        capability = Capability("test.count", name, NOTHING, NOTHING, "count 1.0.0", idempotent)
        self.nodes[name].offer({"test.count": OfferedOperation(capability, count)})

    def learn(self, name: str) -> None:
        """Have a gateway know what those can do that it asks, as `OtherGateways` does."""
        known = [each for server in self._forward[name] for each in self.nodes[server].capabilities]
        self.nodes[name].elsewhere = tuple(advertised(each) for each in known)
        for server in self._forward[name]:
            self.others[name].loads.stated(server, self.nodes[server].load)
            self.others[name].loads.heard(server, WAY_S * (1 + self._forward[name].index(server)))

    async def answer(self, name: str, ask: AskMessage, client: str = "tool") -> DoneMessage:
        """Ask a gateway as the client library does."""
        loop = asyncio.get_running_loop()
        asking = Asking(ask, b"", loop.time(), loop.time() + ask.deadline_ms / 1000)
        arrived = self._asking[client, ask.call] = asyncio.Queue()
        while loop.time() < asking.expires_s + LATE_S:
            for message in asking.due(loop.time()):
                self._deliver(message, (client, name), lambda payload: self.servers[name].received(client, payload))
            try:
                async with asyncio.timeout(asking.due_in_s(loop.time()) or LATE_S):
                    message = await arrived.get()
            except TimeoutError:
                continue
            done = asking.received(message, loop.time())
            if done is not None:
                return done
        raise AssertionError("no answer")

    def _send(self, sender: str, to: str, payload: bytes, *, asks: bool) -> None:
        message = parse(payload)
        if asks:
            self.between.append((sender, to, message))
            self._deliver(message, (sender, to), lambda data: self.servers[to].received(f"@{sender}", data))
        elif to.startswith("@"):
            self._deliver(message, (sender, to[1:]), lambda data: self.others[to[1:]].received(sender, data))
        else:
            self._deliver(message, (sender, to), lambda data: self._arrived(to, parse(data)))

    def _arrived(self, client: str, message: BusMessage) -> None:
        if isinstance(message, TakenMessage):
            self.taken.append(message)
        if (client, message.call) in self._asking:
            self._asking[client, message.call].put_nowait(message)

    def _deliver(self, message: BusMessage, ends: tuple[str, str], arrive: Callable[[bytes], None]) -> None:
        for copy in range(self.faults.copies(message, ends)):
            asyncio.get_running_loop().call_later(WAY_S * (1 + copy), arrive, encode(message))


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in simulated time."""

    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await test()

    run_simulated(limited())
