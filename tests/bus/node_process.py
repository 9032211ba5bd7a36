# SPDX-License-Identifier: Apache-2.0
"""A gateway as a node in a process of its own, which a test may kill: `python -m tests.bus.node_process SETTINGS`.

It is the daemon's own station and link, without devices and with a commit made here. It writes a line whenever
what it offers has changed, and reads the names of gateways that drain, one line each time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from reconciler.bus.fleet_changes import ProposedCommit, WishedChange
from reconciler.bus.uplink import UplinkSettings
from reconciler.devices.mqtt_link import MqttLink, MqttSettings, OnAnswer, OnRequest
from reconciler.engine.clock import SystemClock
from reconciler.engine.node.devices import DevicePorts
from reconciler.engine.node.station import NodePorts, NodeStation
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.state.writer import StateWriter
from reconciler.model import (
    Commit,
    Desired,
    DeviceId,
    Function,
    FunctionId,
    FunctionLimits,
    FunctionPlacement,
    FunctionRuntimeLimits,
    GatewayId,
    GatewayNode,
    LocalStorage,
    Near,
    NodeSelector,
)
from reconciler.tree import FILE
from signing import keys
from tests.bus.node_site import BUCKET, KEEPS, RMS
from tests.load.repo import GivenTree
from tests.plan.example_fleet import fleet
from tests.system.broker_site import FLEET, BrokerSite

EDGE, CLOUD = GatewayId("edge"), GatewayId("cloud")
PATIENT = FunctionLimits(fuel=1_000_000, time_ms=60_000)


def at(place: GatewayId) -> FunctionPlacement:
    return FunctionPlacement(NodeSelector({"site": place}))


def functions() -> Iterator[Function]:
    """Yield the functions: one at each gateway, one at both, one at either of them, and one that stores."""
    rms, keeps = replace(RMS[0], limits=PATIENT, idempotent=True), replace(KEEPS[0], limits=PATIENT)
    yield replace(rms, name=FunctionId("here"), operation="features.here", placement=at(EDGE))
    yield replace(rms, name=FunctionId("there"), operation="features.there", placement=at(CLOUD))
    both = FunctionPlacement(replicas=2, near=Near.LEAST_LOADED)
    yield replace(rms, name=FunctionId("both"), operation="features.both", placement=both)
    yield replace(rms, name=FunctionId("moves"), operation="features.moves")
    yield replace(keeps, placement=at(CLOUD))


def desired(drains: Iterable[str]) -> Desired:
    """Return the fleet: an edge that asks the cloud."""
    made = fleet([])
    some = replace(next(iter(made.gateways.values())), selector=None)
    node = GatewayNode(functions=FunctionRuntimeLimits())
    nodes = {EDGE: replace(node, forward=(CLOUD,)), CLOUD: replace(node, storage=LocalStorage((BUCKET,)))}
    gateways = {
        name: replace(some, name=name, labels={"site": name}, node=replace(each, drain=name in drains))
        for name, each in nodes.items()
    }
    commit = Commit(("drained " + " ".join(drains)).ljust(40))
    return replace(made, commit=commit, gateways=gateways, functions={each.name: each for each in functions()})


class ModuleSource:
    """Git, with the modules alone."""

    @contextmanager
    def tree(self, _commit: Commit) -> Iterator[GivenTree]:
        yield GivenTree(*((function.source.path, FILE, source) for function, source in (RMS, KEEPS)))


class OneLink:
    """The part of the links that a node uses."""

    def __init__(self, link: MqttLink) -> None:
        self._link = link
        self.answer, self.ask = link.answer, link.ask

    def serve_requests(self, on_request: OnRequest | None, on_answer: OnAnswer | None = None) -> None:
        self._link.serve_requests(on_request, on_answer)

    def session_of(self, _device: DeviceId) -> None:
        """Return no session: no devices are behind it."""

    def requests_refused(self) -> str | None:
        return self._link.requests_refused


async def propose(wish: WishedChange) -> ProposedCommit:
    raise AssertionError(wish)


async def serve(  # noqa: PLR0913, PLR0917 - what the process is started with
    name: GatewayId, port: int, certificates: Path, folder: Path, drains: Sequence[str], uplink: Sequence[Any]
) -> None:
    uplinks = {}
    if uplink:
        other, its_port, files = uplink
        where = Path(files)
        named = where / "ca.crt", where / f"{name}.crt", where / f"{name}.key"
        uplinks[other] = UplinkSettings(other, "localhost", its_port, *named)
    ca, certificate, key = (certificates / file for file in ("ca.crt", f"{name}.crt", f"{name}.key"))
    link = MqttLink(MqttSettings("localhost", FLEET, name, port, ca, certificate, key))
    with ThreadPoolExecutor(1) as thread:
        inventory = Inventory(StateWriter(folder / "state.db"))
        devices = DevicePorts(inventory, OneLink(link), keys.generate(), SystemClock())  # type: ignore[arg-type]  # no more of it is used
        ports = NodePorts(name, folder, devices, ModuleSource(), thread, propose, uplinks)  # type: ignore[arg-type]  # no more of it is used
        station = NodeStation(ports, lambda: report(station))
        station.watch(desired(drains))
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(link.run())
            async for _ in link.events():
                break
            group.create_task(station.run())
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                station.watch(desired(line.split()))


def report(station: NodeStation) -> None:
    sys.stdout.write(f"{sorted(each.operation for each in station.node.capabilities)}\n")
    sys.stdout.flush()


class NodeProcess:
    """The process, for a test that starts and kills it."""

    def __init__(
        self, name: GatewayId, site: BrokerSite, folder: Path, uplink: tuple[str, int, Path] | None = None
    ) -> None:
        """An `uplink` is the name of another gateway, the port of its broker, and a folder with certificates for it."""
        self._name, self._site, self._folder = name, site, folder
        self._uplink = [*uplink[:2], str(uplink[2])] if uplink is not None else []
        folder.mkdir()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, where: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, *drains: str) -> None:
        """Start it, and wait until it offers its operations."""
        settings = [
            self._name,
            self._site.port,
            str(self._site.certificates),
            str(self._folder),
            list(drains),
            self._uplink,
        ]
        command = [sys.executable, "-m", "tests.bus.node_process", json.dumps(settings)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait_for(lambda line: "node.inspect" in line)

    def drain(self, *names: str) -> None:
        """Send it the names of the gateways that drain."""
        self._pipe(self._process.stdin).write(" ".join(names) + "\n")
        self._pipe(self._process.stdin).flush()

    def wait_for(self, good: Callable[[str], bool]) -> None:
        """Wait until a line says what is wanted."""
        for line in self._pipe(self._process.stdout):
            if good(line):
                return
        raise AssertionError("the node ended")

    def kill(self) -> None:
        """Kill it, without a word to anyone."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            self._pipe(pipe).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


if __name__ == "__main__":
    name, port, certificates, folder, drains, uplink = json.loads(sys.argv[1])
    asyncio.run(serve(GatewayId(name), port, Path(certificates), Path(folder), drains, uplink))
