# SPDX-License-Identifier: Apache-2.0
"""A network for sounds on three boards that share a half-duplex line at 2400 baud, in simulated time.

The agents, their frames and their tags are real; only the wire is simulated, and computing takes no time on it. The
network has 264,000 weights. Its sessions are open when the clock starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import numpy as np

from bench.bars import Bar, at_most
from bench.zoo import autoencoder
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.stages.cut_network import CutNetwork
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.compiler.tflite.oracle import Oracle
from reconciler.devices.link_session import LinkSession
from reconciler.devices.serial_bus_link import SerialLink
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.engine.device_sessions import DeviceIdentity, SessionPorts
from reconciler.engine.pipelines.holder import HolderPorts, StageHolder
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import DeviceId
from reconciler.pipeline.partition import DeviceClass, PartitionGoal, partition
from reconciler.pipeline.stage_time import MICROSECONDS, StageSpeed, stage_time
from tests.devices.agent_station import AgentStation
from tests.engine.pipelines.site import build_stages
from tests.firmware.bench import Bench, Made, make_pack
from tests.firmware.host import HostAgent, HostLibrary
from tests.firmware.orders import deliver, install

LIBRARY = Path(__file__).parents[1] / "firmware" / "build" / "host" / "libtinyfleet-host.so"
BAUD, CLOCK_MHZ = 2400, 25.0
SLOT_BYTES, ARENA_BYTES, BOARDS = 128 * 1024, 16 * 1024, 3
BIT_ERROR_RATE = 5e-5
SEEDS = range(1, 6)
INPUTS = 3  # of which the mean is taken

Figure = tuple[Bar, float]


class LineClock:
    """The clock of the simulated line."""

    def now(self) -> datetime:
        """Return some day."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def steady_s(self) -> float:
        """Return the simulated seconds."""
        return asyncio.get_running_loop().time()


class LinePipeline:
    """The network, its cuts for three boards, and the agents that hold the parts."""

    def __init__(self) -> None:
        self._model = autoencoder()
        network = CutNetwork(self._model)
        limits = DeviceLimits(arena_bytes=ARENA_BYTES)
        anatomy = network.anatomy("cortex-m4", limits, SLOT_BYTES)
        speed = StageSpeed(CLOCK_MHZ, BAUD)
        times = {cut: stage_time(part, speed, CYCLES_PER_INSTRUCTION) for cut, part in anatomy.segments.items()}
        boards = DeviceClass("board", BOARDS, times, "line")
        found = partition(network.operators, [boards], PartitionGoal.LATENCY)
        if found is None:
            raise SystemExit("the network for sounds fits no three boards")
        self._found = found
        self.built = build_stages(network, found.cuts, limits)
        self.line_s = sum(stage.time.line_us for stage in found.stages) / MICROSECONDS
        self._bench = Bench("bench")
        self._library = HostLibrary(LIBRARY)

    def seconds(self, bit_error_rate: float = 0.0, seed: int = 0) -> float:
        """Return how long an input takes on the line."""
        agents, made = [], []
        for address, pack in enumerate(self.built.packs, start=1):
            one = self._bench.device(f"d{address}", address=address)
            agent = HostAgent(self._library, one.region(make_pack(0)), arena_bytes=ARENA_BYTES)
            outcome = deliver(agent, install(self._bench, one, pack, 1))
            if outcome.code != 0:
                raise SystemExit(f"the agent refuses its stage: {outcome.code}")
            made.append(one)
            agents.append(agent)
        stations = [AgentStation(LIBRARY, agent, address) for address, agent in enumerate(agents, start=1)]
        line = SimulatedLine(stations, baud=BAUD, bit_error_rate=bit_error_rate, seed=seed)
        try:
            return run_simulated(self._run(line, made))
        finally:
            for agent in agents:
                agent.close()

    async def _run(self, line: SimulatedLine, made: Sequence[Made]) -> float:
        addresses = {DeviceId(one.name): address for address, one in enumerate(made, start=1)}
        session = LinkSession(
            SerialLink(line, addresses),
            lambda device, cose, nonce: made[addresses[device] - 1].open_signed(cose, nonce),
        )
        running = asyncio.create_task(session.run())
        holders = []
        for one, stage, planned in zip(made, self.built.route.stages, self._found.stages, strict=True):
            identity = DeviceIdentity(DeviceId(one.name), one.target.device, one.identity.public)
            ports = HolderPorts(SessionPorts(lambda _: session, lambda _: None, self._bench.gateway, LineClock()))
            holders.append(StageHolder(identity, stage, ports, planned.time.busy_us / MICROSECONDS))
        chance, took = np.random.default_rng(6), []
        for _ in range(INPUTS + 1):
            given = chance.bytes(sum(self.built.route.input_bytes))
            began_s = asyncio.get_running_loop().time()
            outputs = await self._through(holders, given)
            took.append(asyncio.get_running_loop().time() - began_s)
            if outputs != self._expected(given):
                raise SystemExit("an answer over the line is wrong")
        await cancel_and_wait([running])
        return fmean(took[1:])

    async def _through(self, holders: Sequence[StageHolder], given: bytes) -> bytes:
        route = self.built.route
        tensors = route.begin(given)
        for holder, stage in zip(holders, route.stages, strict=True):
            outputs = await holder.run(stage.given(tensors), 0.0)
            if outputs is None:
                raise SystemExit(f"{holder.device} did not answer over the line")
            tensors = stage.with_outputs(tensors, outputs)
        return route.result(tensors)

    def _expected(self, given: bytes) -> bytes:
        outputs = Oracle(self._model).run([np.frombuffer(given, np.int8).reshape(1, -1)])
        return outputs[0].astype(np.int8).tobytes()


def on_a_line() -> Iterator[Figure]:
    """Measure an input on the line, without and with noise."""
    pipeline = LinePipeline()
    quiet_s = pipeline.seconds()
    moved = sum(sum(stage.output_bytes) for stage in pipeline.built.route.stages)
    print(f"# sounds at {BAUD} baud: {len(pipeline.built.packs)} stages, {moved} bytes of outputs")
    yield at_most("line_2400_s", 9.5), round(quiet_s, 2)
    yield at_most("line_2400_noise_s", 10.3), round(fmean(pipeline.seconds(BIT_ERROR_RATE, seed) for seed in SEEDS), 2)
    yield at_most("line_2400_prediction_error_percent", 15), round(100 * abs(pipeline.line_s / quiet_s - 1), 1)
