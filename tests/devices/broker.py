# SPDX-License-Identifier: Apache-2.0
"""A real mosquitto that can be killed and restarted on the same port, and fake devices behind it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections import defaultdict
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from reconciler.devices.messages import Block, encode, parse
from tests import mosquitto
from tests.devices.fake_device import FakeDevice

FLEET = "plant"
WAIT_S = 20.0


class RealBroker:
    """A mosquitto process on a free port of this machine."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = mosquitto.free_port()
        self._configuration = folder / "mosquitto.conf"
        all_lines = (*mosquitto.base_configuration(self.port), *lines)
        self._configuration.write_text("\n".join(all_lines) + "\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = await asyncio.to_thread(subprocess.Popen, [program, "-c", str(self._configuration)])
        async with asyncio.timeout(WAIT_S):
            while not await self._listens():  # noqa: ASYNC110  # nothing signals that a port listens
                await asyncio.sleep(0.02)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(WAIT_S)
            self._process = None


class FakeDevices:
    """Any number of fake devices behind one connection; `echoes` is how often each answer is repeated."""

    def __init__(self, port: int, *, echoes: int = 0, session: str = "") -> None:
        self.devices: defaultdict[str, FakeDevice] = defaultdict(FakeDevice)
        self._echoes = echoes
        self._blocks = threading.Semaphore(0)
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=session, clean_session=not session)
        self._subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = self._answer
        self.client.on_connect = lambda client, *_: client.subscribe(f"tinyfleet/{FLEET}/+/down", 1)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_queued_messages_set(0)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _answer(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        name = message.topic.split("/")[2]
        order = parse(bytes(message.payload))
        answer = self.devices[name].answer(order)
        if isinstance(order, Block):
            self._blocks.release()
        if answer:
            for _ in range(1 + self._echoes):
                self.client.publish(f"tinyfleet/{FLEET}/{name}/up", encode(answer), qos=1)

    def say(self, name: str, what: str, payload: bytes, *, retain: bool = False) -> None:
        self.client.publish(f"tinyfleet/{FLEET}/{name}/{what}", payload, qos=1, retain=retain).wait_for_publish(WAIT_S)

    async def subscribed(self) -> None:
        """Wait until the broker keeps messages for these devices."""
        assert await asyncio.to_thread(self._subscribed.wait, WAIT_S)

    async def heard_blocks(self, count: int) -> None:
        """Wait until this many blocks have arrived."""
        for _ in range(count):
            assert await asyncio.to_thread(self._blocks.acquire, timeout=WAIT_S)

    def leave(self) -> None:
        mosquitto.disconnect(self.client)
