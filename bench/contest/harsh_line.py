# SPDX-License-Identifier: Apache-2.0
"""Samples over a bad line, from a device that restarts, to a gateway that is killed: how many are lost or doubled.

Each life of the gateway is a process of its own, which ends by SIGKILL: at some moment on the line, right before it
stores a range, or right after. The next one opens the same database. Only the line's time is simulated.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ParamSpec, TypeVar

from bench.serial import ADDRESS, BAUD, LIBRARY, NODE, TURNAROUND_S, Workbench
from reconciler.devices.line_port import BITS_PER_BYTE
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import SampleSpace
from reconciler.devices.simulated_line import SimulatedLine, run_simulated
from reconciler.engine.samples.collector import SampleCollector
from reconciler.engine.samples.sample_contexts import SampleContexts
from reconciler.engine.samples.visit import DeviceCollection, InThread, VisitPorts
from reconciler.knowledge.reader import read_knowledge
from reconciler.knowledge.writer import KnowledgeWriter
from reconciler.model import Device, SampleCollection, SerialAddress, TypeId
from tests.devices.agent_station import AgentStation
from tests.engine.samples.sample_line import CONTEST, OneLine, SimulatedClock, at_once
from tests.firmware.host import Geometry, HostAgent
from tests.firmware.samples import kept

LARGE_LOGS = Geometry(anomalies=0x40000, normals=0x20000)
NO_LIMIT = 1 << 20  # tokens
SAMPLES_MAX = 100_000
ALL_OF_THE_LINE = SampleCollection(every_s=1, line_share=100)
LAST_LIFE_S = 3600.0
LIFE_S = (5.0, 300.0)
DEVICES = {NODE: Device(NODE, TypeId("bench"), SerialAddress("line", BAUD, ADDRESS))}
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class KillPoint(Enum):
    """When a gateway is killed."""

    ON_THE_LINE = "at some moment on the line"
    BEFORE_STORING = "before a range is stored"
    AFTER_STORING = "after a range is stored, before anything learns of it"


@dataclass(frozen=True)
class Harshness:
    """What goes wrong."""

    bit_error_rate: float = 5e-5
    frames_lost: float = 0.2
    restarts: int = 50
    kills: int = 100
    seed: int = 1


@dataclass(frozen=True)
class SampleCount:
    """What a device kept, and what of it is missing in the database, or there more than once."""

    kept: int
    stored_despite_kills: int  # before the last life, which is not killed
    lost: int
    doubled: int


class LossyStation(AgentStation):
    """An agent on a line that loses frames in both directions."""

    def __init__(self, agent: HostAgent, lost: float, noise: random.Random) -> None:
        super().__init__(LIBRARY, agent, ADDRESS)
        self._lost = lost
        self._noise = noise

    def _answered(self, *, corrected: bool) -> bytes:
        if self._noise.random() < self._lost:
            return b""
        answer = super()._answered(corrected=corrected)
        return b"" if self._noise.random() < self._lost else answer


def count_samples(pack: bytes, windows: Sequence[bytes], path: Path, harshness: Harshness) -> SampleCount:
    """Let a device decide on all windows, spread over the lives of the gateway; then compare."""
    draw = random.Random(harshness.seed)
    restarts = set(draw.sample(range(harshness.kills), harshness.restarts))
    workbench = Workbench()
    agent = workbench.device(pack, LARGE_LOGS)
    agent.set_sampling(NO_LIMIT, 1)
    agent.boot()
    gateway = _Gateway(workbench, agent, path, harshness)
    try:
        for life in range(harshness.kills):
            for window in windows[life :: harshness.kills]:
                agent.infer(window)
            end = draw.choice(list(KillPoint)), draw.uniform(*LIFE_S)
            gateway.live(life, end, device_restarts=life in restarts)
            if life in restarts:
                agent.boot()  # as in the life that has ended, whose copy of the device is gone
        despite_kills = _stored(path).total()
        gateway.live(harshness.kills, None, device_restarts=False)
        held = {
            record.window for space in (SampleSpace.ANOMALIES, SampleSpace.NORMALS) for record in kept(agent, space)
        }
        stored = _stored(path)
        return SampleCount(
            kept=len(held),
            stored_despite_kills=despite_kills,
            lost=len(held - stored.keys()),
            doubled=stored.total() - len(stored),
        )
    finally:
        agent.close()


def line_share(pack: bytes, windows: Iterable[bytes], path: Path, percent: float, seconds: float) -> float:
    """Return the share of a line's time that a device with more samples than fit into it takes."""
    workbench = Workbench()
    agent = workbench.device(pack, LARGE_LOGS)
    agent.set_sampling(NO_LIMIT, 1)
    agent.boot()
    try:
        for window in windows:
            agent.infer(window)
        line = workbench.line(agent)
        collect = SampleCollection(line_share=percent)
        run_simulated(_collect(workbench.session(line), path, collect, seconds))
        return (line.sent_bytes + line.received_bytes) * BITS_PER_BYTE / BAUD / seconds
    finally:
        agent.close()


class _Gateway:
    """The lives of a gateway with one device on its line."""

    def __init__(self, workbench: Workbench, agent: HostAgent, path: Path, harshness: Harshness) -> None:
        self._workbench = workbench
        self._agent = agent
        self._path = path
        self._harshness = harshness

    def live(self, life: int, end: tuple[KillPoint, float] | None, *, device_restarts: bool) -> None:
        """Collect in a process of its own until it is killed; without an end, until nothing is left."""
        child = os.fork()
        if child == 0:
            try:
                run_simulated(self._live(life, end, device_restarts=device_restarts))
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) != (end is not None):
            raise SystemExit("a gateway did not end as planned")

    async def _live(self, life: int, end: tuple[KillPoint, float] | None, *, device_restarts: bool) -> None:
        noise = random.Random(self._harshness.seed * 1000 + life)
        station = LossyStation(self._agent, self._harshness.frames_lost, noise)
        line = SimulatedLine(
            [station],
            baud=BAUD,
            turnaround_s=TURNAROUND_S,
            bit_error_rate=self._harshness.bit_error_rate,
            seed=noise.randrange(1 << 30),
        )
        point, seconds = end or (None, LAST_LIFE_S)
        if device_restarts:
            asyncio.get_running_loop().call_later(seconds / 2, self._agent.boot)
        session = self._workbench.session(line)
        await _collect(session, self._path, ALL_OF_THE_LINE, seconds, KillingThread(point))
        if end:
            _kill()


async def _collect(
    session: LinkSession, path: Path, collect: SampleCollection, seconds: float, in_thread: InThread = at_once
) -> None:
    """Collect from the device at the other end of a session."""
    knowledge = KnowledgeWriter(path)
    collector = SampleCollector(
        VisitPorts(knowledge, SampleContexts(knowledge), SimulatedClock(), in_thread),
        OneLine(session),  # type: ignore[arg-type]  # of the links only this method is used
        lambda _device, _session: True,
        lambda _contest, _count: None,
    )
    running = asyncio.create_task(session.run())
    collector.watch({NODE: DeviceCollection(CONTEST, collect)}, DEVICES)
    await asyncio.sleep(seconds)  # of simulated time: the loop's clock jumps
    await collector.stop()
    running.cancel()
    knowledge.close()


class KillingThread:
    """Runs what stores in place, and kills this process before or after it first stores a range."""

    def __init__(self, point: KillPoint | None) -> None:
        self._point = point

    async def __call__(
        self, function: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Return what the function returns."""
        stores = function.__name__ == KnowledgeWriter.ingest.__name__
        if stores and self._point is KillPoint.BEFORE_STORING:
            _kill()
        result = function(*args, **kwargs)
        if stores and self._point is KillPoint.AFTER_STORING:
            _kill()
        return result


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stored(path: Path) -> Counter[bytes | None]:
    with read_knowledge(path, daemon_runs=False) as knowledge:
        return Counter(each.sample.window for each in knowledge.samples_after(CONTEST, 0, SAMPLES_MAX))
