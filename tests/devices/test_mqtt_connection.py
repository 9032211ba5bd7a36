# SPDX-License-Identifier: Apache-2.0
"""A paho client in the event loop, against a broker that is a few lines of a TCP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from reconciler.devices.mqtt_connection import READS_MAX, MqttConnection

CONNACK = bytes((0x20, 3, 0, 0, 0))
DISCONNECT, CONNECT = 0xE0, 0x10
WITHIN_S = 20.0


def publication(payload: bytes) -> bytes:
    """Return a PUBLISH packet of MQTT 5 with QoS 0 for the topic `t`."""
    body = b"\0\1t\0" + payload
    assert len(body) < 128
    return bytes((0x30, len(body))) + body


class TinyBroker:
    """Accepts connections, answers CONNECT, and sends and receives what a test wants."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[int] = asyncio.Queue()  # the types of what the client sent
        self.writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self.all_writers: list[asyncio.StreamWriter] = []
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TinyBroker]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self.all_writers:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.all_writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, length = await reader.readexactly(2)
                await reader.readexactly(length)
                self.packets.put_nowait(kind & 0xF0)
                if kind & 0xF0 == CONNECT:
                    writer.write(CONNACK)
                    self.writers.put_nowait(writer)


class Connected:
    """A client with its connection, and what it received."""

    def __init__(self, port: int, congested: Callable[[], bool]) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="gateway", protocol=MQTTProtocolVersion.MQTTv5)
        self.client.connect_async("127.0.0.1", port)
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.failures: asyncio.Queue[str] = asyncio.Queue()
        self.client.on_message = self._on_message
        self.connection = MqttConnection(
            self.client, retry_s=(0.01, 0.02), congested=congested, on_failure=self.failures.put_nowait
        )

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.put_nowait(bytes(message.payload))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Connected]:
        """Run the connection, and close it as the link does."""
        task = asyncio.create_task(self.connection.run())
        try:
            async with asyncio.timeout(WITHIN_S):
                yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.connection.close()


def run(test: Callable[[TinyBroker, Connected], object], congested: Callable[[], bool] = lambda: False) -> None:
    async def main() -> None:
        broker = TinyBroker()
        async with broker.running():
            async with Connected(broker.port, congested).running() as connected:
                await test(broker, connected)  # type: ignore[misc]  # a coroutine function
            await asyncio.wait_for(last_packet(broker), WITHIN_S)

    async def last_packet(broker: TinyBroker) -> None:
        while await broker.packets.get() != DISCONNECT:
            pass

    asyncio.run(main())


def test_many_packets_in_one_segment_are_all_read() -> None:
    count = 5 * READS_MAX

    async def test(broker: TinyBroker, connected: Connected) -> None:
        writer = await broker.writers.get()
        writer.write(b"".join(publication(str(number).encode()) for number in range(count)))
        assert [int(await connected.received.get()) for _ in range(count)] == list(range(count))

    run(test)


def test_nothing_is_read_while_the_receiver_is_congested() -> None:
    congested = [False]

    async def test(broker: TinyBroker, connected: Connected) -> None:
        writer = await broker.writers.get()
        writer.write(publication(b"first"))
        assert await connected.received.get() == b"first"
        congested[0] = True
        for number in range(200):
            writer.write(publication(str(number).encode()))
            await writer.drain()
            await asyncio.sleep(0)
        assert connected.received.empty()
        congested[0] = False
        assert [int(await connected.received.get()) for _ in range(200)] == list(range(200))

    run(test, lambda: congested[0])


def test_an_invalid_packet_ends_the_connection_and_another_follows() -> None:
    async def test(broker: TinyBroker, connected: Connected) -> None:
        writer = await broker.writers.get()
        unknown_property = b"\x02\x7e\0"
        writer.write(bytes((0x30, 6)) + b"\0\1t" + unknown_property + publication(b"never read"))
        writer = await broker.writers.get()
        writer.write(publication(b"after"))
        assert await connected.received.get() == b"after"

    run(test)


def test_a_packet_that_can_not_be_handled_ends_the_connection_and_another_follows() -> None:
    async def test(broker: TinyBroker, connected: Connected) -> None:
        good = connected.client.on_message

        def fail(*_: object) -> None:
            connected.client.on_message = good
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

        connected.client.on_message = fail
        writer = await broker.writers.get()
        writer.write(publication(b"first") + publication(b"never read"))
        assert "invalid start byte" in await connected.failures.get()
        writer = await broker.writers.get()
        writer.write(publication(b"after"))
        assert await connected.received.get() == b"after"

    run(test)


def test_a_connection_that_ends_is_made_again() -> None:
    async def test(broker: TinyBroker, connected: Connected) -> None:
        for number in range(3):
            writer = await broker.writers.get()
            writer.write(publication(str(number).encode()))
            assert await connected.received.get() == str(number).encode()
            if number < 2:
                writer.close()

    run(test)


def test_an_attempt_that_fails_is_reported_and_repeated() -> None:
    async def main() -> None:
        connected = Connected(1, lambda: False)  # a port on which nothing listens
        async with connected.running():
            for _ in range(3):
                assert "refused" in (await connected.failures.get()).lower()

    asyncio.run(main())


@pytest.mark.parametrize("size", [100, 200_000])
def test_what_is_queued_is_sent_before_the_goodbye(size: int) -> None:
    async def main() -> None:
        received = bytearray()
        over = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(CONNACK)
            while data := await reader.read(1000):
                received.extend(data)
            over.set()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connected = Connected(server.sockets[0].getsockname()[1], lambda: False)
        accepted = asyncio.Event()
        connected.client.on_connect = lambda *_: accepted.set()
        async with connected.running():
            await accepted.wait()
            for _ in range(20):
                connected.client.publish("t", b"x" * size)
        await asyncio.wait_for(over.wait(), WITHIN_S)
        server.close()
        assert received.count(b"x") == 20 * size
        assert received.endswith(bytes((DISCONNECT, 0)))

    asyncio.run(main())
