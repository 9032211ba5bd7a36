# SPDX-License-Identifier: Apache-2.0
"""Real agents with sample logs on a simulated line, and a collector that fetches from them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from reconciler.compiler.pack.io_section import ElementType
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.compiler.threshold.threshold_pack import build_threshold_pack
from reconciler.devices.link_session import LinkSession
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.engine.samples.collector import SampleCollector
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.engine.samples.visit import DeviceCollection, VisitPorts
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import ContestId, Device, DeviceId, SampleCollection, SerialAddress, TypeId
from reconciler.model.samples import SAMPLE_EVERY, SampleLog
from tests.devices.agent_station import AgentStation
from tests.firmware.bench import Bench
from tests.firmware.host import Geometry, HostAgent, HostLibrary

CONTEST = ContestId("pumps")
BAUD = 2400
EVERY = 2
ELEMENTS = 250
PACK = with_sampling(
    build_threshold_pack([1] * ELEMENTS, threshold=100, element=ElementType.INT16), {SAMPLE_EVERY: EVERY}
)
PLANT = Bench("plant")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def window(number: int, *, anomalous: bool = True) -> bytes:
    """Return a window that names its number."""
    return struct.pack(f"<{ELEMENTS}h", number, 30_000 if anomalous else -30_000, *[0] * (ELEMENTS - 2))


async def at_once(
    function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Run in place: simulated time does not pass while a thread works."""
    return function(*args, **kwargs)


class SimulatedClock:
    """The calendar of the simulated loop."""

    def now(self) -> datetime:
        return datetime(2026, 11, 29, tzinfo=UTC) + timedelta(seconds=self.steady_s())

    def steady_s(self) -> float:
        return asyncio.get_running_loop().time()


class OneLine:
    """The links of the engine, with a single session."""

    def __init__(self, session: LinkSession) -> None:
        self.session = session

    def session_of(self, _device: DeviceId) -> LinkSession:
        return self.session


class SampleLine:
    """Agents on a line of 2400 baud, the knowledge base, and the collector while `run` runs."""

    def __init__(self, library: Path, path: Path, count: int = 1, *, bit_error_rate: float = 0.0) -> None:
        self.path = path
        self.names = [DeviceId(f"pump-{number}") for number in range(1, count + 1)]
        made = {name: PLANT.device(name, address=number) for number, name in enumerate(self.names, 1)}
        self._made = made
        host = HostLibrary(library)
        geometry = Geometry(anomalies=16 * 4096, normals=8 * 4096)
        self.agents = {name: HostAgent(host, each.region(PACK), geometry=geometry) for name, each in made.items()}
        for agent in self.agents.values():
            agent.set_sampling(1 << 20, 1)
            agent.boot()
        self._library = library
        self._bit_error_rate = bit_error_rate
        self.busy = False  # a delivery is in progress
        self.new = asyncio.Event()
        self.line: SimulatedLine | None = None

    @property
    def devices(self) -> Mapping[DeviceId, Device]:
        return {
            name: Device(name, TypeId("bench"), SerialAddress("line", BAUD, number))
            for number, name in enumerate(self.names, 1)
        }

    def wanted(self, **collect: Any) -> Mapping[DeviceId, DeviceCollection]:  # noqa: ANN401 - fields of SampleCollection
        return {name: DeviceCollection(CONTEST, SampleCollection(**collect)) for name in self.names}

    def run(
        self,
        work: Callable[[SampleCollector, KnowledgeWriter], Awaitable[Result]],
        **collect: Any,  # noqa: ANN401 - as above
    ) -> Result:
        """Collect while the work runs, in simulated time."""
        return run_simulated(self._main(work, **collect))

    async def _main(
        self,
        work: Callable[[SampleCollector, KnowledgeWriter], Awaitable[Result]],
        **collect: Any,  # noqa: ANN401 - as above
    ) -> Result:
        def open_signed(device: DeviceId, cose: bytes, nonce: bytes) -> bytes:
            return self._made[device].open_signed(cose, nonce)

        stations = [AgentStation(self._library, agent, n) for n, agent in enumerate(self.agents.values(), 1)]
        self.line = SimulatedLine(stations, baud=BAUD, bit_error_rate=self._bit_error_rate, seed=7)
        addresses = {name: number for number, name in enumerate(self.names, 1)}
        session = LinkSession(SerialLink(self.line, addresses), open_signed)
        knowledge = KnowledgeWriter(self.path)
        ports = VisitPorts(knowledge, SampleContexts(knowledge), SimulatedClock(), at_once)
        self.new = asyncio.Event()
        collector = SampleCollector(
            ports,
            OneLine(session),  # type: ignore[arg-type]  # of the links only this method is used
            lambda _device, _session: not self.busy,
            lambda _contest, _count: self.new.set(),
        )
        running = asyncio.create_task(session.run())
        try:
            collector.watch(self.wanted(**collect), self.devices)
            return await work(collector, knowledge)
        finally:
            await collector.stop()
            running.cancel()
            knowledge.close()

    @property
    def bytes_on_the_wire(self) -> int:
        assert self.line is not None
        return self.line.sent_bytes + self.line.received_bytes

    def stored(self, log: SampleLog = SampleLog.ANOMALIES) -> dict[DeviceId, list[bytes | None]]:
        """Return the windows of each device, in the order of their storing."""
        found: dict[DeviceId, list[bytes | None]] = {name: [] for name in self.names}
        knowledge = KnowledgeWriter(self.path)
        for each in knowledge.samples_after(CONTEST, 0, 100_000):
            if each.sample.log is log:
                found[each.sample.device].append(each.sample.window)
        knowledge.close()
        return found


def for_seconds(seconds: float) -> Callable[[SampleCollector, KnowledgeWriter], Coroutine[Any, Any, None]]:
    """Return work that lets simulated time pass."""

    async def wait(_collector: SampleCollector, _knowledge: KnowledgeWriter) -> None:
        await asyncio.sleep(seconds)  # of simulated time, as the docstring says

    return wait
