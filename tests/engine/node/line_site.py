# SPDX-License-Identifier: Apache-2.0
"""A gateway's node with real agents on a slow serial line, in simulated time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.bus.messages import AskMessage, DoneMessage, TakenMessage, parse
from reconciler.bus.node import Invocation, OfferedOperation, OperationNode
from reconciler.bus.request_server import RequestServer
from reconciler.devices.conversation import Confirmed
from reconciler.devices.link_session import LinkSession
from reconciler.devices.reports import CapabilitiesBody, DeviceReport
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.engine.device_sessions import DeviceIdentity
from reconciler.engine.node.device_requests import PREFIX
from reconciler.engine.node.devices import DeviceNodes, DevicePorts, NodeDevice
from reconciler.engine.observed.inventory import Inventory
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import Builtin, DeviceId, DeviceType, RequestedOperation, TypeId, ValueDescriptor, ValueElement
from reconciler.operations.codes import OperationFailed
from reconciler.operations.descriptors import DataDescriptor
from reconciler.operations.resolution import Capability
from tests.devices.agent_station import AgentStation
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import HostAgent, HostLibrary
from tests.firmware.operations import SENSE, SENSED_BYTES, SET_OUTPUT, STORE
from tests.firmware.talk import job

BENCH = Bench("plant")
PUMP = DeviceId("pump-1")
HALL = "hall"
SAMPLES = ValueDescriptor(name="window", dtype=ValueElement.INT16, shape=(SENSED_BYTES // 2,))
LEVEL = ValueDescriptor(name="level", dtype=ValueElement.UINT8, shape=(1,))
SENSES = Builtin(SENSE, "sense.window", outputs=(SAMPLES,), idempotent=True)
SETS = Builtin(SET_OUTPUT, "output.set", inputs=(LEVEL,), outputs=(LEVEL,))
STORES = Builtin(STORE, "sense.store")
MISSING = Builtin(99, "sense.missing")
KEEPS = RequestedOperation(1, "data.put.windows", (SAMPLES,))
STARTED = datetime(2026, 3, 1, tzinfo=UTC)
SLOWEST_BAUD = 2400
WITHIN_S = 3600.0  # of simulated time


class LoopClock:
    """The simulated time."""

    def now(self) -> datetime:
        return STARTED + timedelta(seconds=self.steady_s())

    def steady_s(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class LineLinks:
    """The part of the links that devices as nodes use."""

    session: LinkSession

    def session_of(self, _device: DeviceId) -> LinkSession:
        return self.session


class LosingStation(AgentStation):
    """An agent whose answers get lost, or that loses power after it has answered, as a test wants."""

    lose_answers = 0
    restart = False

    def hear(self, data: bytes, now_s: float) -> bytes:
        answer = super().hear(data, now_s)
        if answer and self.lose_answers:
            self.lose_answers -= 1
            if self.restart and not self.lose_answers:
                self.agent.boot()
            return b""
        return answer


def board(*builtins: Builtin, requests: tuple[RequestedOperation, ...] = (KEEPS,)) -> DeviceType:
    of = DeviceType(TypeId("board"), "cortex-m4", 65536, 32768, frozenset({"THRESHOLD"}))
    return DeviceType(
        of.name, of.architecture, of.slot_bytes, of.arena_bytes, of.operators, builtins=builtins, requests=requests
    )


ALL = board(SENSES, SETS, STORES, MISSING)


@dataclass
class LineSite:
    """One device on a line, the node that offers it, and what was stored."""

    made: Made
    station: LosingStation
    link: LinkSession
    inventory: Inventory
    signer: Bench = BENCH
    replies_are_lost: bool = False
    stored: list[tuple[str, bytes, bytes]] = field(default_factory=list)  # caller, call, data
    answers: dict[str, list[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.node = OperationNode(HALL)
        self.start()

    @property
    def agent(self) -> HostAgent:
        return self.station.agent

    def start(self, of: DeviceType = ALL) -> None:
        """Begin as a gateway that remembers nothing."""
        ports = DevicePorts(self.inventory, LineLinks(self.link), BENCH.gateway, LoopClock())  # type: ignore[arg-type]
        self.server = RequestServer(self.node, self._answer)
        self.devices = DeviceNodes(ports, self.server.received)
        self.follow(of)

    def follow(self, of: DeviceType) -> None:
        """Take in what Git wants."""
        identity = DeviceIdentity(PUMP, self.made.target.device, self.made.identity.public)
        stores = Capability(KEEPS.operation, HALL, DataDescriptor((SAMPLES,)), DataDescriptor())
        offered = {KEEPS.operation: OfferedOperation(stores, self._store)}
        self.node.offer({**offered, **self.devices.offered((NodeDevice(identity, of),), HALL)})

    def still_seen(self) -> None:
        """Take in its last report once more, as if it had just come."""
        report = self.inventory.report_of(PUMP)
        assert report is not None
        self.inventory.record_report(PUMP, report, LoopClock().now(), asked=True)

    async def call(self, builtin: Builtin, data: bytes = b"") -> bytes:
        """Perform an operation of the device, as for a client."""
        offered = self.node.offered(f"{builtin.operation}.{PUMP}")
        return await self.node.perform(offered, Invocation(data, "line-tool", bytes(8), time.monotonic() + WITHIN_S))

    async def failure_of(self, builtin: Builtin, data: bytes = b"") -> OperationFailed:
        """Perform an operation that fails."""
        try:
            await self.call(builtin, data)
        except OperationFailed as failure:
            return failure
        raise AssertionError("it did not fail")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until a condition holds."""
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110 - simulated time, which jumps
                await asyncio.sleep(0.5)

    async def _store(self, asked: Invocation) -> bytes:
        self.stored.append((asked.caller, asked.call, asked.data))
        return b""

    def _answer(self, asker: str, payload: bytes) -> None:
        message = parse(payload)
        assert isinstance(message, TakenMessage | DoneMessage | AskMessage)
        self.answers.setdefault(asker, []).append(message)
        if asker.startswith(PREFIX) and not self.replies_are_lost:
            self.devices.requests.answered(asker, payload)


async def record(inventory: Inventory, link: LinkSession) -> None:
    """Ask the device what every gateway asks, so that it can be reached."""
    report, capabilities = await link.report(PUMP), await link.capabilities(PUMP)
    assert isinstance(report, DeviceReport)
    assert isinstance(capabilities, CapabilitiesBody)
    inventory.record_report(PUMP, report, LoopClock().now(), asked=True)
    inventory.record_capabilities(PUMP, capabilities)


@asynccontextmanager
async def running(link: LinkSession) -> AsyncIterator[LinkSession]:
    """Run a link."""
    task = asyncio.create_task(link.run())
    yield link
    await cancel_and_wait([task])


def on_a_line(library: Path, inventory: Inventory, test: Callable[[LineSite], Awaitable[None]], **line: float) -> None:
    """Run a test with a device that has had its first order."""
    made = BENCH.device(PUMP, address=1)
    station = LosingStation(library, HostAgent(HostLibrary(library), made.region(make_pack(1))), 1)

    def link_over(**line: float) -> LinkSession:
        simulated = SimulatedLine([station], **{"baud": SLOWEST_BAUD, **line})  # type: ignore[arg-type]  # floats
        return LinkSession(SerialLink(simulated, {PUMP: 1}), lambda _, cose, nonce: made.open_signed(cose, nonce))

    async def main() -> None:
        async with running(link_over()) as quiet:
            before, pack = await quiet.report(PUMP), make_pack(2)
            assert isinstance(before, DeviceReport)
            outcome, _ = await quiet.update(job(made, BENCH.install(made, pack, 1), pack, before, block_bytes=512))
            assert isinstance(outcome, Confirmed)
            await record(inventory, quiet)
        async with running(link_over(**line)) as link:
            site = LineSite(made, station, link, inventory)
            asking = asyncio.create_task(site.devices.run())
            await test(site)
            await cancel_and_wait([asking])

    run_simulated(main())
