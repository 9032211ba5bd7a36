# SPDX-License-Identifier: Apache-2.0
"""The broker ends while calls run: each client gets its answer, and each call runs once."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.bus.node import Invocation, OfferedOperation
from reconciler.client import ClientSettings, OperationClient
from reconciler.devices.mqtt_link import MqttSettings
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability
from tests.bus.node_site import NodeSite
from tests.system.broker_site import FLEET, BrokerSite

NOTHING = DataDescriptor()
WITHIN_S = 120.0
CALLERS, ITEMS = 4, 6  # of each
ITEM = struct.pack("<3h", 1, 2, 3)


class Gate:
    """An operation that ends when the test says so."""

    def __init__(self) -> None:
        self.began, self.release = threading.Event(), threading.Event()
        self.calls: list[bytes] = []

    def offered(self) -> OfferedOperation:
        return OfferedOperation(Capability("test.gate", "north", NOTHING, NOTHING), self._perform)

    async def _perform(self, asked: Invocation) -> bytes:
        self.calls.append(asked.call)
        self.began.set()
        await asyncio.get_running_loop().run_in_executor(None, self.release.wait)
        return b""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BrokerSite]:
    site = BrokerSite(tmp_path, "p256")
    for role, name in (("gateway", "north"), ("client", "tool")):
        site.issue(role, name)
    site.start()
    yield site
    site.stop()


def test_answers_that_a_broker_loses_arrive_later_and_nothing_runs_twice(site: BrokerSite) -> None:
    gate = Gate()
    node = NodeSite(
        MqttSettings("localhost", FLEET, "north", site.port, *files(site.certificates, "north")), site.folder, ()
    )
    node.more = {"test.gate": gate.offered()}
    with (
        node,
        OperationClient(
            ClientSettings("localhost", FLEET, "tool", site.port, *files(site.certificates, "tool"))
        ) as client,
        ThreadPoolExecutor(1 + CALLERS) as threads,
    ):
        waiting = threads.submit(client.perform, "test.gate", what=NOTHING, timeout_s=WITHIN_S)
        assert gate.began.wait(WITHIN_S)
        number = client.call("data.put.vibration", ITEM, timeout_s=WITHIN_S)
        assert number == struct.pack("<Q", 1)
        site.stop()
        stored = [threads.submit(store_items, client) for _ in range(CALLERS)]  # nobody hears their first requests
        gate.release.set()
        site.start()
        assert waiting.result(WITHIN_S).node == "north"
        assert len(gate.calls) == 1
        numbers = sorted(number for each in stored for number in each.result(WITHIN_S))
        assert numbers == list(range(2, CALLERS * ITEMS + 2))


def files(folder: Path, name: str) -> tuple[Path, Path, Path]:
    return folder / "ca.crt", folder / f"{name}.crt", folder / f"{name}.key"


def store_items(client: OperationClient) -> list[int]:
    made = [client.call("data.put.vibration", ITEM, timeout_s=WITHIN_S) for _ in range(ITEMS)]
    return [int.from_bytes(each, "little") for each in made]
