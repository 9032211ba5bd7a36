# SPDX-License-Identifier: Apache-2.0
"""Pipelines over running devices: the real agent, a broker with TLS, and the gateway's own router.

Each device is a process with the slots and the arena of its board, and takes as long for a run as the board would: the
estimate of its stage at the board's clock. What is measured is all the rest. The predictions are made before any run.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from bench.bars import Bar, at_least, at_most, exactly
from bench.pipeline_case import Case
from reconciler.compiler.evaluation.estimate_limits import CYCLES_PER_INSTRUCTION
from reconciler.compiler.tflite.network_pack import DeviceLimits
from reconciler.devices.errors import Malformed
from reconciler.devices.link import LinkState
from reconciler.devices.link_session import LinkSession
from reconciler.devices.messages import parse
from reconciler.devices.mqtt_link import MqttLink, MqttSettings
from reconciler.devices.stage_messages import FeedStage, StageOutput
from reconciler.engine.pipelines.router import PipelineResult, PipelineRouter
from reconciler.engine.task_cancellation import cancel_and_wait
from reconciler.model import DeviceId
from reconciler.pipeline.partition import Partition, PartitionGoal
from reconciler.pipeline.stage_time import computing_us
from tests import mosquitto
from tests.engine.pipelines.site import BuiltStages, Site, build_stages
from tests.firmware.bench import Bench
from tests.firmware.broker import Authority, Broker

VDEV = Path(__file__).parents[1] / "firmware" / "build" / "host" / "tinyfleet-vdev"
FLEET, GATEWAY = "bench", "gw"
SINGLE, STREAMED = 15, 40  # inputs of which the latency, and the period, is taken
IN_FLIGHT = 12

Figure = tuple[Bar, float]


@asynccontextmanager
async def running_site(folder: Path, names: Sequence[str]) -> AsyncIterator[tuple[Site, Broker]]:
    """Start a broker and connect a gateway to it; devices are added later."""
    authority = Authority(folder / "pki")
    for name in (GATEWAY, *names):
        authority.issue(name)
    broker, pki, bench = Broker(folder, authority), authority.folder, Bench(FLEET)
    files = (pki / "ca.crt", pki / f"{GATEWAY}.crt", pki / f"{GATEWAY}.key")
    link = MqttLink(MqttSettings("localhost", FLEET, GATEWAY, broker.port, *files), [DeviceId(each) for each in names])
    session = LinkSession(link, lambda device, cose, nonce: bench.device(device).open_signed(cose, nonce))
    task = asyncio.create_task(session.run())
    options = ("--broker", f"localhost:{broker.port}", "--tls-ca", str(files[0]), "--certificates", str(pki))
    site = Site(bench, VDEV, session, (*options, "--infer-every", "0"))
    try:
        async for event in session.unsolicited():
            if event == LinkState(up=True):
                break
        yield site, broker
    finally:
        site.close()
        await cancel_and_wait([task])
        broker.stop()


async def add_board(site: Site, name: str, case: Case, pack: bytes, busy_us: float) -> None:
    """Start a device with the memory and the speed of a board."""
    memory = ("--slot-bytes", str(case.slot_bytes), "--arena-bytes", str(case.limits.arena_bytes))
    await site.add(name, pack, *memory, "--run-time", str(round(busy_us / 1000)), "--flash", "{folder}")


def busy_us(case: Case, found: Partition) -> list[float]:
    """Return how long a board computes each stage."""
    segments = (case.anatomy.segments[stage.first, stage.end] for stage in found.stages)
    return [computing_us(segment, case.speed.clock_mhz, CYCLES_PER_INSTRUCTION) for segment in segments]


async def add_boards(site: Site, case: Case, found: Partition, built: BuiltStages, *, quick: bool = False) -> list[str]:
    """Start a device for each stage; return their names. Quick ones compute as fast as this machine."""
    names = names_of(len(built.packs))
    for name, pack, time_us in zip(names, built.packs, busy_us(case, found), strict=True):
        await add_board(site, name, case, pack, 0.0 if quick else time_us)
    return names


class Watch:
    """A client of its own that counts the pieces of activations on the topics of a broker."""

    def __init__(self, broker: Broker) -> None:
        self.payload = 0
        self._client = broker.client("watch")
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _user, message: self._count(bytes(message.payload))
        self._client.subscribe([(f"tinyfleet/{FLEET}/+/{way}", 1) for way in ("down", "up")])
        subscribed.wait()

    def _count(self, data: bytes) -> None:
        try:
            message = parse(data)
        except Malformed:
            return  # signed by a device
        if isinstance(message, FeedStage | StageOutput):
            self.payload += len(message.data)

    def close(self) -> None:
        """Disconnect."""
        mosquitto.disconnect(self._client)


class Measured:
    """What runs of one network took, and which answers they gave."""

    def __init__(self, case: Case) -> None:
        self.case, self.right, self.ran = case, 0, 0

    def check(self, given: bytes, result: PipelineResult) -> None:
        """Count an answer, and whether it is that of TensorFlow Lite."""
        self.ran += 1
        self.right += result.outputs == self.case.expected(given)

    async def latency_ms(self, router: PipelineRouter) -> float:
        """Run inputs one after the other; return the median time of one."""
        took = []
        for given in self.case.inputs(SINGLE):
            began_s = time.monotonic()
            result = await router.run(given)
            took.append(time.monotonic() - began_s)
            self.check(given, result)
        return 1000 * median(took[1:])  # the first one opens the sessions

    async def period_ms(self, router: PipelineRouter, count: int) -> float:
        """Run many inputs at once; return the mean time between two results."""
        ended = []

        async def one(given: bytes) -> None:
            self.check(given, await router.run(given))
            ended.append(time.monotonic())

        await asyncio.gather(*(one(given) for given in self.case.inputs(count)))
        begun = count // 4  # by then every stage is busy
        return 1000 * (ended[-1] - ended[begun]) / (len(ended) - 1 - begun)


async def speed(case: Case, bars: tuple[float, float | None]) -> list[Figure]:
    """Measure latency and period, and compare them with what was predicted."""
    latency_bar_ms, period_bar_ms = bars
    measured = Measured(case)
    found = case.cut(PartitionGoal.LATENCY)
    built = build_stages(case.network, found.cuts, case.limits)
    wrong = []
    with tempfile.TemporaryDirectory(prefix="pipe") as name:
        async with running_site(Path(name), names_of(len(built.packs))) as (site, broker):
            boards = await add_boards(site, case, found, built)
            router = site.router_of(built, *([board] for board in boards))
            watch = Watch(broker)
            latency_ms = await measured.latency_ms(router)
            watch.close()
    wrong.append(abs(found.latency_us / 1000 / latency_ms - 1))
    moved = sum(case.anatomy.segments[stage.first, stage.end].bytes_moved for stage in found.stages)
    figures: list[Figure] = [
        (exactly(f"{case.name}_payload_measured", moved), watch.payload / SINGLE),
        (at_most(f"{case.name}_latency_ms", latency_bar_ms), round(latency_ms)),
    ]
    if period_bar_ms is not None:
        often, period_ms = await _streamed(case, measured)
        wrong.append(abs(often.period_us / 1000 / period_ms - 1))
        alone_ms = await _alone_ms(case, measured)
        figures.append((at_most(f"{case.name}_period_ms", period_bar_ms), round(period_ms)))
        figures.append((at_least(f"{case.name}_over_one_device", 3.6), round(alone_ms / period_ms, 2)))
    figures.append((at_most(f"{case.name}_prediction_error_percent", 15), round(100 * max(wrong), 1)))
    figures.append((exactly(f"{case.name}_exact_on_devices", measured.ran), measured.right))
    return figures


async def _streamed(case: Case, measured: Measured) -> tuple[Partition, float]:
    found = case.cut(PartitionGoal.THROUGHPUT)
    built = build_stages(case.network, found.cuts, case.limits)
    with tempfile.TemporaryDirectory(prefix="pipe") as name:
        async with running_site(Path(name), names_of(len(built.packs))) as (site, _):
            boards = await add_boards(site, case, found, built)
            router = site.router_of(built, *([board] for board in boards), in_flight=IN_FLIGHT, queue=STREAMED)
            return found, await measured.period_ms(router, STREAMED)


async def _alone_ms(case: Case, measured: Measured) -> float:
    """Return the period of one device that has memory for the whole network."""
    built = build_stages(case.network, (), DeviceLimits())
    memory = ("--slot-bytes", str(1 << 20), "--arena-bytes", str(1 << 20))
    with tempfile.TemporaryDirectory(prefix="pipe") as name:
        async with running_site(Path(name), ("whole",)) as (site, _):
            runs_ms = str(round(case.alone_computing_us() / 1000))
            await site.add("whole", built.packs[0], *memory, "--run-time", runs_ms)
            return await measured.period_ms(site.router_of(built, ["whole"]), SINGLE)


def names_of(count: int) -> list[str]:
    """Return the names of devices."""
    return [f"d{number}" for number in range(1, count + 1)]
