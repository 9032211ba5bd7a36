# SPDX-License-Identifier: Apache-2.0
"""What a gateway offers follows Git, also while an earlier commit is still being loaded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from reconciler.bus.fleet_changes import ProposedCommit, WishedChange
from reconciler.devices.mqtt_link import OnAnswer, OnRequest
from reconciler.engine.clock import SystemClock
from reconciler.engine.node.devices import DevicePorts
from reconciler.engine.node.station import NodePorts, NodeStation
from reconciler.engine.observed.inventory import Inventory
from reconciler.model import (
    Builtin,
    Commit,
    Desired,
    DeviceId,
    Function,
    FunctionRuntimeLimits,
    GatewayId,
    GatewayNode,
    LocalStorage,
)
from reconciler.tree import FILE
from signing import keys
from tests.bus.node_site import BUCKET, RMS
from tests.engine.reports import CAPABILITIES, NOON, report
from tests.load.repo import GivenTree
from tests.plan.example_fleet import ESP32, device, fleet

HALL = GatewayId("hall")
WITHIN_S = 60


class SlowSource:
    """Git, whose files can be read once `free` is set."""

    def __init__(self) -> None:
        self.free, self.asked = threading.Event(), threading.Event()
        self.free.set()

    @contextmanager
    def tree(self, _commit: Commit) -> Iterator[GivenTree]:
        self.asked.set()
        assert self.free.wait(WITHIN_S)
        function, source = RMS
        yield GivenTree((function.source.path, FILE, source))


class NoBroker:
    """The part of the links that a node uses."""

    serves = False

    def serve_requests(self, on_request: OnRequest | None, _on_answer: OnAnswer | None = None) -> None:
        self.serves = on_request is not None

    def answer(self, client: str, payload: bytes) -> None:
        raise AssertionError((client, payload))

    def ask(self, server: str, payload: bytes) -> None:
        raise AssertionError((server, payload))

    def session_of(self, device: DeviceId) -> None:
        """No device is behind it."""

    def requests_refused(self) -> str | None:
        return None


def wanted(node: GatewayNode | None, *functions: Function) -> Desired:
    made = fleet([])
    gateway = replace(next(iter(made.gateways.values())), name=HALL, node=node)
    return replace(made, gateways={HALL: gateway}, functions={each.name: each for each in functions})


STORES = GatewayNode(storage=LocalStorage((BUCKET,)))
RUNS = GatewayNode(functions=FunctionRuntimeLimits())


async def no_proposals(wish: WishedChange) -> ProposedCommit:
    raise AssertionError(wish)


class StationSite:
    """A station and its task."""

    def __init__(self, folder: Path, thread: ThreadPoolExecutor, inventory: Inventory) -> None:
        self.source, self.broker, self.passes = SlowSource(), NoBroker(), asyncio.Event()
        devices = DevicePorts(inventory, self.broker, keys.generate(), SystemClock())  # type: ignore[arg-type]  # no devices
        ports = NodePorts(HALL, folder, devices, self.source, thread, no_proposals)  # type: ignore[arg-type]  # no more of it is used
        self.station = NodeStation(ports, self.passes.set)

    @property
    def operations(self) -> set[str]:
        return {each.operation for each in self.station.node.capabilities}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the end of a step after which the condition holds."""
        while not condition():
            await self.passes.wait()
            self.passes.clear()


def run(folder: Path, inventory: Inventory, test: Callable[[StationSite], Awaitable[None]]) -> None:
    async def limited() -> None:
        with ThreadPoolExecutor(1) as thread:
            site = StationSite(folder, thread, inventory)
            running = asyncio.create_task(site.station.run())
            async with asyncio.timeout(WITHIN_S):
                await test(site)
            await site.station.stop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(limited())


def test_requests_are_served_once_everything_is_loaded(tmp_path: Path, inventory: Inventory) -> None:
    async def test(site: StationSite) -> None:
        assert site.station.pending
        site.source.free.clear()
        site.station.watch(wanted(RUNS, RMS[0]))
        assert await asyncio.to_thread(site.source.asked.wait, WITHIN_S)
        assert site.station.pending
        assert not site.broker.serves
        site.source.free.set()
        await site.until(lambda: site.broker.serves)
        assert "features.rms" in site.operations
        assert [each.refused for each in site.station.reports] == [None]
        assert site.station.state is not None
        assert site.station.state.reason == "NodeServing"

    run(tmp_path, inventory, test)


def test_a_commit_that_is_reverted_while_it_is_loaded_is_not_offered(tmp_path: Path, inventory: Inventory) -> None:
    async def test(site: StationSite) -> None:
        site.station.watch(wanted(STORES))
        await site.until(lambda: "data.put.vibration" in site.operations)
        site.source.free.clear()
        site.station.watch(wanted(RUNS, RMS[0]))
        assert await asyncio.to_thread(site.source.asked.wait, WITHIN_S)
        site.station.watch(wanted(STORES))
        site.source.free.set()
        await site.until(lambda: "features.rms" in site.operations)  # it was loaded to its end
        await site.until(lambda: "features.rms" not in site.operations)
        assert "data.put.vibration" in site.operations

    run(tmp_path, inventory, test)


def test_without_a_node_nothing_is_offered_or_reported(tmp_path: Path, inventory: Inventory) -> None:
    async def test(site: StationSite) -> None:
        site.station.watch(wanted(STORES))
        await site.until(lambda: site.broker.serves)
        site.station.watch(wanted(None))
        await site.until(lambda: not site.broker.serves)
        assert site.operations == set()
        assert not site.station.pending
        assert site.station.state is None

    run(tmp_path, inventory, test)


def test_a_file_that_git_lacks_is_tried_again(tmp_path: Path, inventory: Inventory) -> None:
    async def test(site: StationSite) -> None:
        function = replace(RMS[0], source=replace(RMS[0].source, path="functions/none.wat"))
        site.station.watch(wanted(RUNS, function))
        await site.until(lambda: site.station.state is not None)
        assert site.station.state is not None
        assert site.station.state.reason == "ModuleUnreadable"
        site.station.watch(wanted(RUNS, RMS[0]))
        await site.until(lambda: site.broker.serves)

    run(tmp_path, inventory, test)


def test_a_gateway_that_drains_gives_up_its_functions_and_says_so(tmp_path: Path, inventory: Inventory) -> None:
    async def test(site: StationSite) -> None:
        site.station.watch(wanted(RUNS, RMS[0]))
        await site.until(lambda: "features.rms" in site.operations)
        site.station.watch(wanted(replace(RUNS, drain=True), RMS[0]))
        await site.until(lambda: "features.rms" not in site.operations)
        state = site.station.state
        assert state is not None
        assert (state.good, state.reason) == (True, "Drained")
        assert [each.holders for each in site.station.reports] == [()]  # nobody else may run it

    run(tmp_path, inventory, test)


def test_firmware_without_operations_is_named(tmp_path: Path, inventory: Inventory) -> None:
    async def test(site: StationSite) -> None:
        kind = replace(ESP32, builtins=(Builtin(1, "sense.window"),))
        devices = [replace(device(number), public_key="00" * 32) for number in (1, 2)]
        for each in devices:
            inventory.record_report(each.name, report(1), NOON, asked=True)
            inventory.record_capabilities(each.name, CAPABILITIES)
        made = fleet(devices, types=(kind,))
        site.station.watch(replace(wanted(STORES), types=made.types, devices=made.devices))
        await site.until(lambda: site.broker.serves)
        assert site.station.state is not None
        assert site.station.state.reason == "FirmwareWithoutOperations"
        assert site.station.state.message.startswith("d001 and 1 more: the type has")

    run(tmp_path, inventory, test)
